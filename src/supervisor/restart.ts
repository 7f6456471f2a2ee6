/**
 * Whether a guest whose QEMU ended by itself is begun again, and when. Pure: times of earlier ends come
 * in, a decision comes out. It is about guests that start at boot; one that a person started is a
 * person's to start again, and one that a rule stands against is not begun at all.
 */

/** Milliseconds. */
export interface RestartLimits {
  /** Before the first time. */
  readonly firstMs: number;
  /** Each further one waits so many times as long, */
  readonly factor: number;
  /** and none longer than this. */
  readonly mostMs: number;
  /** Ends within this time count. */
  readonly windowMs: number;
  /** So many ends within the window, and it stays ended. */
  readonly most: number;
}
export const RESTART: RestartLimits = {
  firstMs: 1_000,
  factor: 4,
  mostMs: 60_000,
  windowMs: 600_000,
  most: 5,
};

export type RestartDecision =
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "give_up"; readonly ends: number };

/**
 * The decision after an end.
 *
 * @param ends when it ended by itself so far, the last one being now, in ms of one clock
 */
export function restartAfter(
  ends: readonly number[],
  limits: RestartLimits = RESTART,
): RestartDecision {
  const now = ends.at(-1) ?? 0;
  const recent = ends.filter((at) => now - at < limits.windowMs).length;
  if (recent >= limits.most) return { kind: "give_up", ends: recent };
  const longer = limits.firstMs * limits.factor ** Math.max(0, recent - 1);
  return { kind: "wait", ms: Math.min(limits.mostMs, longer) };
}
