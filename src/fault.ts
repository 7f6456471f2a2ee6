/**
 * The one error class. A fault names the stage at which something failed, a stable code that a
 * program can compare, and a message that tells a person what failed, why, and what to do next.
 * This module never prints and never decides what happens after a fault.
 */

/** The stages at which the host can fail: the boot's phases, and what runs beside or after them. */
export type Stage =
  | "cmdline"
  | "session"
  | "virtualization"
  | "data"
  | "policy"
  | "registry"
  | "measure"
  | "plan"
  | "network"
  | "share"
  | "launch"
  | "ready"
  | "guest"
  | "control"
  | "input"
  | "screen"
  | "recovery"
  | "shutdown"
  | "cli";

/** An error that carries its stage and a stable dotted code, e.g. `data.not_found`. */
export class Fault extends Error {
  override readonly name = "Fault";

  /**
   * @param stage where it happened
   * @param code stable dotted name, `<area>.<what>`
   * @param message `<what failed>: <why>; <what to do>`
   * @param cause the lower error, where there is one
   */
  constructor(readonly stage: Stage, readonly code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/** What of an unknown thrown value can be shown to a person. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The given error if it is a fault already, else a fault of that stage with the error as its cause. */
export function asFault(error: unknown, stage: Stage, code: string): Fault {
  return error instanceof Fault ? error : new Fault(stage, code, reasonOf(error), error);
}
