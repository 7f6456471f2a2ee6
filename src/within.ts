/**
 * A wait with a limit. Everything that waits for another process uses it, since none of them is trusted
 * to answer.
 */

/** A promise that fails with the given reason after that long. The timer never keeps the program up. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
