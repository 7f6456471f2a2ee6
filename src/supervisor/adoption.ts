/**
 * What is to become of a guest that was found running: one decision from the step that the dead program
 * had begun and from what QEMU says it is doing. Pure; the guest was read back before it is asked.
 *
 * A step is written before it is taken, so it may or may not have happened: each row must be right in
 * both cases. A guest whose saved state was being read has run no instruction unless the step `loaded`
 * was written, which happens after the state was used up and before `cont`.
 */

import type { Step } from "./record.ts";

/** What becomes of it. */
export type Adoption =
  /** It runs; nothing is sent to it. */
  | "keep_running"
  /** Its vCPUs are held, and stay so. */
  | "keep_paused"
  /** It was about to be let go: `cont`. */
  | "release"
  /** It was being saved: the rest of that is taken back, then `cont`. */
  | "cancel_save_release"
  /** As above, and it stays held, as it was before. */
  | "cancel_save"
  /** It was being ended: that begins again. */
  | "stop";

/**
 * The step in which nothing is asked: QEMU waits for a stream whose sender died, or is ending because of
 * it. It has run nothing, and its saved state is as good as before.
 */
export const LOADING = "loading" satisfies Step;

/** `query-status` of QEMU 7.2 (qapi/run-state.json). */
export interface QemuStatus {
  readonly running: boolean;
  readonly status: string;
}

/** The decision. `ran`: whether its vCPUs ran before it was being saved. */
export function adoptionOf(
  step: Exclude<Step, typeof LOADING>,
  ran: boolean,
  qemu: QemuStatus,
): Adoption {
  switch (step) {
    case "launching":
    case "confining":
    case "releasing":
    case "loaded":
      return qemu.running ? "keep_running" : "release";
    case "running":
    case "pausing":
    case "paused":
      return qemu.running ? "keep_running" : "keep_paused";
    case "stopping":
      return "stop";
    case "saving":
      if (qemu.running) return "keep_running";
      return ran ? "cancel_save_release" : "cancel_save";
  }
}
