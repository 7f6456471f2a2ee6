/**
 * Extends PCRs of the machine's TPM, where there is one, by what this boot believes in: release, policy, registry,
 * and the heads of the audit log. Each thing once a boot, however often the program is started: the account of it
 * lies under /run/rayos and is held against the TPM. It decides nothing by what it measures.
 */

import { Fault, reasonOf } from "../fault.ts";
import type { Emit } from "../event.ts";
import type { Host } from "../host/port.ts";
import { PATHS } from "../permissions.ts";
import { within } from "../within.ts";
import {
  type Account,
  beginAccount,
  compare,
  type Entry,
  type Measured,
  PCR_OF,
  PCRS,
  readAccount,
  withEntry,
} from "./measured.ts";
import {
  ANSWER_BYTES,
  answerCode,
  DIGEST_BYTES,
  extendCommand,
  pcrIn,
  readCommand,
} from "./tpm_commands.ts";

/** The TPM as stage 0 shows it; nothing where there is none. */
export const TPM_NODE = `${PATHS.run}/tpm`;
/** What was measured in this boot. */
export const ACCOUNT_FILE = `${PATHS.run}/measured.json`;
const ACCOUNT_LIMIT = 1024 * 1024;
/** What stands there instead in a boot that is not measured. */
const LEFT_OUT = "off";
/** Milliseconds for one command: a TPM answers these in some ten. */
const COMMAND_MS = 10_000;

/** An end of the audit log that the TPM was given. */
export interface AnchoredHead {
  readonly seq: number;
  readonly hash: string;
}

export class Measuring {
  #account: Account | null = null;
  /** The last entry may not have come to the TPM: whoever comes next holds the account against it first. */
  #unsure = false;
  /** One command after the other: the device takes one at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    readonly host: Pick<Host, "exchange" | "lstat" | "readText" | "replace">,
    readonly emit: Emit,
  ) {}

  /** Whether the machine has a TPM. */
  get present(): boolean {
    return this.host.lstat(TPM_NODE) !== null;
  }

  /** What was measured, in order; of the audit log's heads the last. */
  get entries(): readonly Entry[] {
    return this.#account?.entries ?? [];
  }

  /**
   * Takes up this boot's account, or begins one.
   *
   * @throws Fault `measure.tpm`, `measure.account`
   */
  begin(): Promise<void> {
    return this.#inTurn(async () => {
      if (await this.#takeUp() !== null) return;
      if (this.host.lstat(ACCOUNT_FILE) !== null) throw leftOut();
      const values = new Map<number, Uint8Array>();
      for (const pcr of PCRS) values.set(pcr, await this.#read(pcr));
      this.#write(beginAccount(values));
    });
  }

  /** This boot is not measured, and no later start of the program measures the rest of it. Nothing where it has begun. */
  leaveOut(): void {
    if (this.host.lstat(ACCOUNT_FILE) === null) this.host.replace(ACCOUNT_FILE, LEFT_OUT);
  }

  /**
   * Measures something, where it is not already.
   *
   * @param seq of a head of the audit log: the number of its record
   * @returns whether anything is measured in this boot
   * @throws Fault `measure.tpm`, `measure.account`
   */
  measure(what: Measured, sha256: string, seq: number | null = null): Promise<boolean> {
    return this.#inTurn(async () => {
      const account = await this.#takeUp();
      if (account === null) return false;
      const { entries } = account;
      const again = what === "registry"
        ? entries.some((one) => one.what === what)
        : entries.findLast((one) => one.what === what)?.sha256 === sha256;
      if (again) return true;
      const entry = { what, sha256, seq };
      // First the account: an entry too many is found out and made up for, one too few never.
      this.#unsure = true;
      this.#write(withEntry(account, entry));
      await this.#extend(entry);
      this.#unsure = false;
      return true;
    });
  }

  /**
   * The last head of the audit log that the TPM was given, by the TPM's own word; null where it was given none.
   *
   * @throws Fault `measure.tpm`, `measure.account`
   */
  auditHead(): Promise<AnchoredHead | null> {
    return this.#inTurn(async () => {
      const account = await this.#takeUp();
      const last = account?.entries.findLast((one) => one.what === "audit");
      if (account === null || last === undefined || last.seq === null) return null;
      const pcr = PCR_OF.audit;
      if (compare(account, pcr, await this.#read(pcr)) !== "same") throw differs(ofPcr(pcr));
      return { seq: last.seq, hash: last.sha256 };
    });
  }

  /** This boot's account, which the TPM agrees with; null: nothing is measured in this boot. */
  async #takeUp(): Promise<Account | null> {
    if (this.#account !== null && !this.#unsure) return this.#account;
    const account = this.#account ?? this.#written();
    if (account === null) return null;
    for (const pcr of PCRS) {
      const state = compare(account, pcr, await this.#read(pcr));
      if (state === "other") throw differs(ofPcr(pcr));
      const last = account.entries.at(-1);
      if (state === "behind" && last !== undefined) await this.#extend(last);
    }
    this.#account = account;
    this.#unsure = false;
    return account;
  }

  #written(): Account | null {
    const text = this.host.readText(ACCOUNT_FILE, ACCOUNT_LIMIT);
    if (text === null || text === LEFT_OUT) return null;
    const account = readAccount(text);
    if (account === null) throw differs(`${ACCOUNT_FILE} cannot be read`);
    return account;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  #write(account: Account): void {
    this.host.replace(ACCOUNT_FILE, JSON.stringify(account));
    this.#account = account;
  }

  async #extend({ what, sha256 }: Entry): Promise<void> {
    const pcr = PCR_OF[what];
    const digest = Uint8Array.fromHex(sha256);
    if (digest.length !== DIGEST_BYTES) throw new RangeError(`${what}: no SHA-256`);
    await this.#ask(extendCommand(pcr, digest));
    this.emit({ type: "measured", pcr, sha256, what });
  }

  async #read(pcr: number): Promise<Uint8Array> {
    const value = pcrIn(await this.#ask(readCommand(pcr)), pcr);
    if (value === null) throw failed(`PCR ${pcr} of the SHA-256 bank is not to be had`);
    return value;
  }

  async #ask(command: Uint8Array): Promise<Uint8Array> {
    let answer: Uint8Array;
    try {
      const asked = this.host.exchange(TPM_NODE, command, ANSWER_BYTES);
      answer = await within(COMMAND_MS, "TPM", asked);
    } catch (error) {
      throw failed(reasonOf(error).split(";")[0] ?? "", error);
    }
    const code = answerCode(answer);
    if (code === null) throw failed("it answers in another shape");
    if (code !== 0) throw failed(`it refuses with 0x${code.toString(16)}`);
    return answer;
  }
}

function failed(why: string, cause?: unknown): Fault {
  const message =
    `TPM: ${why}; look at it in the firmware's setup, or set security.measure = "off"`;
  return new Fault("measure", "measure.tpm", message, cause);
}

function differs(why: string): Fault {
  const message =
    `TPM: ${why}; somebody else extends it, or the account was changed: restart the host`;
  return new Fault("measure", "measure.account", message);
}

function leftOut(): Fault {
  const message = "TPM: this boot began without being measured; restart the host";
  return new Fault("measure", "measure.account", message);
}

const ofPcr = (pcr: number) => `PCR ${pcr} is not what this boot made it`;
