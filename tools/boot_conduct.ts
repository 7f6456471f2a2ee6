/**
 * Conducts a boot that is to be judged: waits until what is expected was seen, presses the power
 * button, and says how the machine ended. It ends nothing by force but what hangs.
 */
import type { BootRun } from "./boot_machine.ts";
import { type Ending, type Expectation, readyToEnd, refused } from "./boot_judge.ts";

export interface ConductOptions {
  readonly expectation: Expectation;
  /** Seconds for the whole run; null: no limit. */
  readonly timeout: number | null;
  /** Ends the run as interrupted. */
  readonly signal?: AbortSignal;
  /** False: the power button is left to someone else (an interactive run). */
  readonly powerButton?: boolean;
}

/** A machine that has not set up its power button yet misses a press: it is pressed again. */
const PRESS_AGAIN_MS = 10_000;

/**
 * Waits for the end of the run; QEMU has ended when this returns.
 * A refused marker cannot be taken back, so the power button is pressed at once then too.
 */
export async function conduct(run: BootRun, options: ConductOptions): Promise<Ending> {
  const { expectation, timeout, signal } = options;
  let wake = () => {};
  const abort = () => wake();
  signal?.addEventListener("abort", abort);
  let pressedAt: number | null = null;
  try {
    while (run.endedAt === null) {
      if (signal?.aborted) {
        await run.cutPower();
        return { kind: "interrupted" };
      }
      const left = timeout === null ? Infinity : timeout * 1000 - run.now();
      if (left <= 0) {
        await run.cutPower();
        return { kind: "timeout", seconds: timeout ?? 0 };
      }
      const over = readyToEnd(expectation, run.lines) ||
        refused(expectation, run.lines).length > 0;
      if (over && options.powerButton !== false) {
        if (pressedAt === null || run.now() - pressedAt >= PRESS_AGAIN_MS) {
          pressedAt = run.now();
          await run.powerButton();
        }
      }
      const aborted = new Promise<void>((resolve) => wake = resolve);
      await Promise.race([run.nextChange(Math.min(left, PRESS_AGAIN_MS)), aborted]);
    }
    await run.ended;
    return signal?.aborted ? { kind: "interrupted" } : { kind: "ended" };
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
