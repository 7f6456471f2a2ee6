/** A chain that is followed line by line: by whoever verifies a log, and by a host that goes on with its own. */

import { type ChainState, follow, nextEpoch, SEAL } from "./chain.ts";
import { type AuditRecord, readRecord } from "./record.ts";

/** Whether one line follows where a chain stands: null, and the chain moved on; or why not. */
export class Follower {
  constructor(public state: ChainState, readonly keyed: boolean) {}

  take(line: Uint8Array): { rule: string; what: string } | null {
    const record = readRecord(line);
    if (record === null) return { rule: "audit.line", what: "it is no record" };
    return this.takeRecord(record, line);
  }

  takeRecord(record: AuditRecord, line: Uint8Array): { rule: string; what: string } | null {
    const followed = follow(this.state, record, line, this.keyed);
    if (!followed.ok) return followed;
    this.state = record.event === SEAL ? this.#nextEpoch(followed.next) : followed.next;
    return null;
  }

  #nextEpoch(state: ChainState): ChainState {
    return this.keyed ? nextEpoch(state) : { ...state, epoch: state.epoch + 1, index: 0 };
  }
}
