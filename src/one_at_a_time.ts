/**
 * Work that is asked for while the same work is under way waits for it, in the order in which it was
 * asked. It knows nothing of what is done.
 */

/** The same function, of which one call at a time is under way; a call that fails ends no other. */
export function oneAtATime<Args extends readonly unknown[], Result>(
  work: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (...args) => {
    const mine = last.then(() => work(...args));
    last = mine.catch(() => {});
    return mine;
  };
}
