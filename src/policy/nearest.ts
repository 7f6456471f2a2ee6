/**
 * The nearest of some known words, for a hint to a person who misspelt one. It never decides what
 * was meant.
 */

/** Longest word looked at; a longer one is no misspelling of anything here. */
const LONGEST = 48;

/** The candidate with the fewest edits, if they are few enough for its length, else null. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  if (word.length > LONGEST) return null;
  let best: { candidate: string; edits: number } | null = null;
  for (const candidate of candidates) {
    const edits = distance(word.toLowerCase(), candidate.toLowerCase());
    const most = Math.max(1, Math.floor(candidate.length / 3));
    if (edits <= most && (best === null || edits < best.edits)) best = { candidate, edits };
  }
  return best?.candidate ?? null;
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn one into the other. */
function distance(one: string, other: string): number {
  let before: number[] = [];
  let previous: number[] = [];
  for (let i = 0; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1];
      const swapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      row.push(Math.min(
        at(previous, j) + 1,
        at(row, j - 1) + 1,
        at(previous, j - 1) + (same ? 0 : 1),
        swapped ? at(before, j - 2) + 1 : Infinity,
      ));
    }
    before = previous;
    previous = row;
  }
  return at(previous, other.length);
}

/** The edits of a cell; there is no way through one that is outside the table. */
function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
