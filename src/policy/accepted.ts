/**
 * `policy/state.json`: the highest serial that was accepted, and of which bytes. It lies on RayOS Data,
 * so whoever can write there can put an older one back together with an older policy; the image's
 * `min_serial` is the floor that they cannot lower. The recovery passphrase's hash of that policy is kept
 * with it, so that the recovery shell knows it where the policy itself does not hold any more. Pure.
 */
import * as z from "zod/mini";
import { type Issue, issue } from "../issue.ts";
import { readJson } from "../json.ts";

/** What was accepted. */
export interface Accepted {
  /** 0: no policy with a serial yet. */
  readonly serial: number;
  /** SHA-256 of that policy's exact bytes, in hex; null: no policy yet. */
  readonly sha256: string | null;
  /** Its `recovery.passphrase`; absent: it has none. */
  readonly passphrase?: string;
}

const ACCEPTED = z.strictObject({
  version: z.literal(0),
  serial: z.int().check(z.minimum(0)),
  sha256: z.nullable(z.string().check(z.regex(/^[0-9a-f]{64}$/))),
  recovery_passphrase: z.optional(z.string().check(z.regex(/^\$scrypt\$[\x21-\x7e]{1,200}$/))),
});

/**
 * What is remembered.
 *
 * @param text null where there is no such file
 * @param hasHistory whether this data root was booted before (`boot/history` is not empty): then a
 *   missing file was taken away
 * @returns null on a fresh data root; an issue `serial.state` where what is there cannot be believed,
 *   `serial.state_lost` where it is gone
 */
export function parseAccepted(text: string | null, hasHistory = false): Accepted | null | Issue {
  if (text === null) return hasHistory ? lost("serial.state_lost", "no such file") : null;
  const read = readJson(text);
  const parsed = read.ok ? ACCEPTED.safeParse(read.value) : null;
  if (!parsed?.success) return lost("serial.state", "a damaged file");
  const { serial, sha256, recovery_passphrase: passphrase } = parsed.data;
  // A serial is always some policy's.
  if (serial > 0 && sha256 === null) return lost("serial.state", "a serial of no policy");
  return { serial, sha256, ...passphrase === undefined ? {} : { passphrase } };
}

function lost(rule: string, found: string): Issue {
  return issue(rule, {
    path: "policy/state.json",
    expected: "the serial and hash of the last accepted policy",
    found,
    hint: "without it an older policy could be put in force; put the file back from a backup, or " +
      "look at the policy and accept its serial in the recovery shell (serial accept)",
  });
}

/** The file's text. */
export function renderAccepted(accepted: Accepted): string {
  const { serial, sha256, passphrase } = accepted;
  const hash = passphrase === undefined ? {} : { recovery_passphrase: passphrase };
  return `${JSON.stringify({ version: 0, serial, sha256, ...hash })}\n`;
}

/** A policy that was accepted in whole. */
export interface AcceptedPolicy {
  readonly serial: number | null;
  readonly sha256: string;
  /** Its `recovery.passphrase`, where it has one. */
  readonly passphrase?: string | null;
}

/** What to remember after accepting a policy; null where what is remembered stays. */
export function nextAccepted(
  remembered: Accepted | null,
  policy: AcceptedPolicy,
): Accepted | null {
  const next = acceptedByPerson(policy);
  if (remembered === null || next.serial > remembered.serial) return next;
  if (next.serial !== remembered.serial) return null;
  // Among policies without a serial the last one is remembered; of one policy, all of it.
  const same = remembered.sha256 === next.sha256;
  if (same) return remembered.passphrase === next.passphrase ? null : next;
  return next.serial === 0 ? next : null;
}

/**
 * What is remembered once a person has looked at the policy that is there and accepts its serial in
 * place of a state that is damaged or gone. The serial may go down by this, and by nothing else; the
 * caller holds the permit of `serial.accept` and has verified the policy.
 */
export function acceptedByPerson(policy: AcceptedPolicy): Accepted {
  const { serial, sha256, passphrase } = policy;
  return { serial: serial ?? 0, sha256, ...passphrase ? { passphrase } : {} };
}
