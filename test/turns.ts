/** Waiting in tests for what goes on by itself. */
import assert from "node:assert/strict";

/** A claim that fails waits for so many turns and so many milliseconds: a machine may be slow in either. */
const MOST_TURNS = 3_000;
const MOST_MS = 10_000;

/** Lets everything go on that waits for nothing but its turn. */
export async function turns(count = 1): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Waits until it holds. @throws AssertionError with the condition's text where that does not come */
export async function until(holds: () => boolean): Promise<void> {
  const late = performance.now() + MOST_MS;
  for (let n = 0; !holds() && (n < MOST_TURNS || performance.now() < late); n++) await turns();
  assert.ok(holds(), `never came to be: ${holds}`);
}
