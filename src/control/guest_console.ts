/**
 * Guests' consoles for those who are attached to them: what a guest writes goes to each of them, and one
 * of them may type. Nobody holds up the guest, its log or another: one that does not read loses the
 * oldest bytes. It decides nothing, reads nothing of what passes, and opens no connection.
 */

import type { VmId } from "../id.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { Caller } from "../policy/ops.ts";
import { within } from "../within.ts";
import { ByteRing } from "./byte_ring.ts";
import { type ControlStream, PIECE_BYTES, type StreamMessage } from "./stream.ts";

/** Attached to one guest at once, besides the one who types. */
export const MOST_READERS = 8;
/** Bytes that wait for one who does not read. */
export const WAITING_BYTES = 128 * 1024;
/** A guest that takes no input for so long (ms) gets no more of that client's. */
const INPUT_TIMEOUT_MS = 10_000;

/** Why somebody is not let in. */
export interface ConsoleRefusal {
  readonly rule: "console.writer" | "console.readers" | "console.none";
  readonly detail: string;
}

/** Told when an attachment ended, and why. */
export type OnDetached = (reason: string) => void;

/** One who is attached. */
class Attachment implements ControlStream {
  readonly #waiting = new ByteRing(WAITING_BYTES);
  readonly #ended = Promise.withResolvers<string | null>();
  #reason: string | null = null;
  #open = true;
  #wake: () => void = () => {};

  constructor(
    readonly caller: Caller,
    readonly readOnly: boolean,
    readonly type: (bytes: Uint8Array) => Promise<void>,
    readonly onDetached: OnDetached,
  ) {}

  get ended(): Promise<unknown> {
    return this.#ended.promise;
  }

  push(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#wake();
  }

  async next(): Promise<StreamMessage | null> {
    while (true) {
      const lost = this.#waiting.takeLost();
      if (lost > 0) return { lost };
      if (this.#waiting.size > 0) return { data: this.#waiting.take(PIECE_BYTES) };
      if (!this.#open) return this.#reason === null ? null : { end: this.#reason };
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async input(bytes: Uint8Array): Promise<void> {
    if (this.readOnly) return this.end("console.read_only");
    if (!this.#open) return;
    try {
      await within(INPUT_TIMEOUT_MS, "console", this.type(bytes));
    } catch {
      this.end("console.input");
    }
  }

  end(reason: string): void {
    this.#detach(reason, reason);
  }

  close(): void {
    this.#detach(null, "detached");
  }

  #detach(told: string | null, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#reason = told;
    this.onDetached(reason);
    this.#ended.resolve(told);
    this.#wake();
  }
}

/** The console of one machine of a guest's, from its connection's beginning to its end. */
export class GuestConsole {
  readonly #attached = new Set<Attachment>();
  #typing: Promise<void> = Promise.resolve();

  /** @param send writes to the guest; resolves when its QEMU took it */
  constructor(readonly send: (bytes: Uint8Array) => Promise<void>) {}

  /** What the guest wrote. */
  take(bytes: Uint8Array): void {
    for (const one of this.#attached) one.push(bytes);
  }

  attach(
    permit: Allowed<"vm.console">,
    readOnly: boolean,
    onDetached: OnDetached,
  ): ControlStream | ConsoleRefusal {
    const readers = [...this.#attached].filter((one) => one.readOnly).length;
    if (readOnly && readers >= MOST_READERS) {
      return { rule: "console.readers", detail: `${readers} read it already` };
    }
    if (!readOnly && this.#attached.size > readers) {
      const detail = "somebody types there already; read_only looks on";
      return { rule: "console.writer", detail };
    }
    const one: Attachment = new Attachment(
      permit.caller,
      readOnly,
      (bytes) => this.#type(bytes),
      (reason) => {
        this.#attached.delete(one);
        onDetached(reason);
      },
    );
    this.#attached.add(one);
    return one;
  }

  /** Asks again whether each one may be attached. @param against the rule against that caller */
  decideAgain(against: (caller: Caller) => string | null): void {
    for (const one of [...this.#attached]) {
      const rule = against(one.caller);
      if (rule !== null) one.end(rule);
    }
  }

  end(reason: string): void {
    for (const one of [...this.#attached]) one.end(reason);
  }

  /**
   * One after the other, also where the one before did not come to its end in time. What cannot be sent
   * had a guest that is gone, which `end` tells.
   */
  #type(bytes: Uint8Array): Promise<void> {
    return this.#typing = this.#typing.then(() => this.send(bytes)).catch(() => {});
  }
}

/** The consoles that are there now. */
export class GuestConsoles {
  readonly #consoles = new Map<VmId, GuestConsole>();

  /** A guest's console is there from now on. */
  open(vm: VmId, send: GuestConsole["send"]): GuestConsole {
    this.#consoles.get(vm)?.end("guest_ended");
    const opened = new GuestConsole(send);
    this.#consoles.set(vm, opened);
    return opened;
  }

  /** It is gone; those who are attached to it are told. */
  close(vm: VmId, which: GuestConsole): void {
    if (this.#consoles.get(vm) === which) this.#consoles.delete(vm);
    which.end("guest_ended");
  }

  attach(
    permit: Allowed<"vm.console">,
    readOnly: boolean,
    onDetached: OnDetached,
  ): ControlStream | ConsoleRefusal {
    const found = permit.vm === null ? undefined : this.#consoles.get(permit.vm);
    if (found !== undefined) return found.attach(permit, readOnly, onDetached);
    return { rule: "console.none", detail: `${permit.vm} has no console now; ask again` };
  }

  /** Asks again for everybody. @param against the rule against that caller at that guest */
  decideAgain(against: (vm: VmId, caller: Caller) => string | null): void {
    for (const [vm, one] of this.#consoles) one.decideAgain((caller) => against(vm, caller));
  }
}
