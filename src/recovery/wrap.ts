/** Text laid out for a screen of 80 columns. Pure. */

import { clustersOf, fitting, widthOf } from "./text_width.ts";

/** One column of 80 stays free. */
const COLUMNS = 79;

/**
 * A text as lines that fit, cut at blanks where there are some.
 *
 * @param first blanks before the first line
 * @param further blanks before those after it
 */
export function wrap(text: string, first = 0, further = first): string[] {
  const lines: string[] = [];
  let line = " ".repeat(first);
  let empty = true;
  const end = () => {
    lines.push(line);
    line = " ".repeat(further);
    empty = true;
  };
  for (const word of text.split(" ")) {
    if (!empty && widthOf(line) + 1 + widthOf(word) > COLUMNS) end();
    if (!empty) line += " ";
    let rest = word;
    // A word that is longer than a line is cut where the line ends.
    while (widthOf(line) + widthOf(rest) > COLUMNS) {
      const piece = fitting(clustersOf(rest), COLUMNS - widthOf(line));
      line += piece;
      rest = rest.slice(piece.length);
      end();
    }
    line += rest;
    empty = false;
  }
  lines.push(line);
  return lines;
}

/** Lines that are too long go on in the next one. */
export function fold(text: string): string {
  return text.split("\n").map((line) => {
    const blanks = line.length - line.trimStart().length;
    // Columns of a table stay where they are.
    return line.length < 80 ? line : wrap(line.trimStart(), blanks, blanks + 4).join("\n");
  }).join("\n");
}
