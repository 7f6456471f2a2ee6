/**
 * Whether QEMU has held a guest's vCPUs by itself, e.g. since a disk is full: it says STOP, and is asked
 * what it is doing. One question is under way at a time, however often it says so.
 */

import type { QmpClient } from "../guest/qmp.ts";

/** What is told of the answers. */
export interface HeldTo {
  /** QEMU holds the vCPUs, in its own word for why. */
  readonly onHeld: (status: string) => Promise<unknown>;
  /** It could not be asked; told once. */
  readonly onLost: (error: unknown) => void;
}

/** The questions to one QEMU. */
export class HeldByItself {
  #asking = false;
  /** It said so again since the last question. */
  #again = false;
  #lost = false;

  constructor(readonly to: HeldTo) {}

  /** Asks where it said STOP and was not asked since, as the answer did not matter yet. */
  async askLate(qmp: QmpClient, wanted: () => boolean): Promise<void> {
    if (this.#again) await this.ask(qmp, wanted);
  }

  /** It said STOP. @param wanted whether the answer still matters */
  async ask(qmp: QmpClient, wanted: () => boolean): Promise<void> {
    this.#again = true;
    if (this.#asking) return;
    this.#asking = true;
    try {
      while (this.#again && wanted()) {
        this.#again = false;
        const { running, status } = await qmp.command("query-status");
        if (!running && status !== "shutdown") await this.to.onHeld(status);
      }
    } catch (error) {
      if (!this.#lost) this.to.onLost(error);
      this.#lost = true;
    } finally {
      this.#asking = false;
    }
  }
}
