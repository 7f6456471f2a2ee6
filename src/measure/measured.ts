/**
 * What this boot measured, as data: which PCR is for what, the account of it that lies under /run/rayos, and what
 * a PCR must therefore be. Pure.
 */

import * as v from "valibot";
import { DIGEST_BYTES, extended } from "./tpm_commands.ts";

/**
 * The PCRs, none of which firmware or a boot loader uses (TCG PC Client Platform Firmware Profile, 2.3.4: 8 to 15
 * are the operating system's). What changes from boot to boot has one of its own, so that the other stays the same
 * for the same release and policy.
 */
export const PCR_OF = { release: 11, policy: 11, registry: 12, audit: 13 } as const;

/** What is measured. `audit`: the head of the audit log. */
export type Measured = keyof typeof PCR_OF;

export const PCRS: readonly number[] = [...new Set(Object.values(PCR_OF))];

const DIGEST = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const ENTRY = v.strictObject({
  what: v.picklist(["release", "policy", "registry", "audit"]),
  sha256: DIGEST,
  /** Of the log's head: the number of its record. */
  seq: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0))),
});
const ACCOUNT = v.strictObject({
  /** What each PCR was before the entries. */
  before: v.record(v.string(), DIGEST),
  entries: v.array(ENTRY),
});

export type Entry = v.InferOutput<typeof ENTRY>;
export type Account = v.InferOutput<typeof ACCOUNT>;

/** Null where it is none. */
export function readAccount(text: string): Account | null {
  try {
    const parsed = v.safeParse(ACCOUNT, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

const hex = (bytes: Uint8Array) => bytes.toHex();
const bytesOf = (text: string) => Uint8Array.fromHex(text);

/** An account that begins with these values. */
export function beginAccount(values: ReadonlyMap<number, Uint8Array>): Account {
  return {
    before: Object.fromEntries([...values].map(([pcr, value]) => [String(pcr), hex(value)])),
    entries: [],
  };
}

/**
 * The account with one entry more. Heads of the audit log come every quarter of an hour for months: only the last of
 * them is kept, and those before it as what the PCR became by them.
 */
export function withEntry(account: Account, entry: Entry): Account {
  if (entry.what !== "audit") return { ...account, entries: [...account.entries, entry] };
  const value = hex(valueBy(account, PCR_OF.audit));
  return {
    before: { ...account.before, [String(PCR_OF.audit)]: value },
    entries: [...account.entries.filter((one) => one.what !== "audit"), entry],
  };
}

/** What the PCR must be by the account. */
function valueBy({ before, entries }: Account, pcr: number): Uint8Array {
  const start = before[String(pcr)];
  const own = entries.filter((one) => PCR_OF[one.what] === pcr).map((one) => bytesOf(one.sha256));
  return extended(start === undefined ? new Uint8Array(DIGEST_BYTES) : bytesOf(start), own);
}

/**
 * Whether the PCR is as the account says. An entry is written down before the PCR is extended: `behind`, where the
 * program was ended between the two, and the last entry is still to be done.
 */
export function compare(
  account: Account,
  pcr: number,
  value: Uint8Array,
): "same" | "behind" | "other" {
  if (hex(valueBy(account, pcr)) === hex(value)) return "same";
  const last = account.entries.at(-1);
  if (last === undefined || PCR_OF[last.what] !== pcr) return "other";
  const without = { ...account, entries: account.entries.slice(0, -1) };
  return hex(valueBy(without, pcr)) === hex(value) ? "behind" : "other";
}
