/** An audit log in memory, as a host of some hours would leave it; for tests. */

import { beginChain, type ChainState, FILE, link, nextEpoch, SEAL } from "../chain.ts";
import type { KeyState } from "../key_state.ts";
import type { Content } from "../record.ts";
import type { LogPart } from "../verify.ts";

export const KEY = Uint8Array.from({ length: 32 }, (_, n) => n * 7 + 1);

export interface SampleLog {
  readonly parts: LogPart[];
  readonly state: KeyState;
  /** Where the chain stood before each record. */
  readonly before: readonly ChainState[];
  readonly lines: readonly string[];
}

const encoder = new TextEncoder();

/** What the n-th record of a sample says. */
export function sampleContent(n: number): Content {
  return {
    event: n % 3 === 0 ? "audit_deny" : "RAYOS_VM_STATE:stopped:starting",
    time: `2026-11-24T12:00:${String(n % 60).padStart(2, "0")}.000Z`,
    data: { vm: `guest-${n % 4}`, n, reason: n % 5 === 0 ? 'asked "so" \\ ä' : "asked" },
  };
}

/** So many records in files of so many, with a seal after each `sealEvery`. */
export function sampleLog(
  records: number,
  { perFile = 80, sealEvery = 50, key = KEY }: {
    perFile?: number;
    sealEvery?: number;
    key?: Uint8Array;
  } = {},
): SampleLog {
  let chain = beginChain(key);
  const before: ChainState[] = [];
  const lines: string[] = [];
  const parts: LogPart[] = [];
  let text = "";
  for (let n = 1; n <= records; n++) {
    const place = (n - 1) % perFile;
    const { fingerprint } = chain;
    const time = "2026-11-24T12:00:00.000Z";
    const file = { version: 0, file: parts.length + 1, oldest: 1, chain: fingerprint };
    const content = place === 0
      ? { event: FILE, time, data: file }
      : n % sealEvery === 0
      ? { event: SEAL, time, data: { reason: "timer" } }
      : sampleContent(n);
    before.push(chain);
    const { line, next } = link(chain, content);
    lines.push(line);
    text += `${line}\n`;
    chain = content.event === SEAL ? nextEpoch(next) : next;
    if (place === perFile - 1 || n === records) {
      const name = `audit-${String(parts.length + 1).padStart(6, "0")}.jsonl`;
      parts.push({ name, bytes: encoder.encode(text) });
      text = "";
    }
  }
  const state = { chain, oldest: 1, file: parts.length, unshown: null };
  return { parts, state, before, lines };
}
