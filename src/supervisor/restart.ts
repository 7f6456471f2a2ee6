/**
 * Whether a guest whose QEMU ended by itself is begun again, and when. Pure: times of earlier ends come
 * in, a decision comes out. It is about guests that start at boot; one that a person started is a
 * person's to start again, and one that a rule stands against is not begun at all.
 */

export const RESTART = {
  /** Milliseconds before the first time. */
  firstMs: 1_000,
  /** Each further one waits so many times as long, */
  factor: 4,
  /** and none longer than this. */
  mostMs: 60_000,
  /** Ends within this time count. */
  windowMs: 600_000,
  /** So many ends within the window, and it stays ended. */
  most: 5,
} as const;

export type RestartDecision =
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "give_up"; readonly ends: number };

/**
 * The decision after an end.
 *
 * @param ends when it ended by itself so far, the last one being now, in ms of one clock
 */
export function restartAfter(ends: readonly number[]): RestartDecision {
  const now = ends.at(-1) ?? 0;
  const recent = ends.filter((at) => now - at < RESTART.windowMs).length;
  if (recent >= RESTART.most) return { kind: "give_up", ends: recent };
  const longer = RESTART.firstMs * RESTART.factor ** Math.max(0, recent - 1);
  return { kind: "wait", ms: Math.min(RESTART.mostMs, longer) };
}
