/**
 * What every benchmark of this project yields: figures, each with its peer measured in the same run
 * where there is one, and the goal it is held to. Values in, text out.
 */

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the value is compared with; null where there is none. */
  readonly peer: string | null;
  readonly peerValue: number | null;
  /** The most that the ratio (where there is a peer) or the value may be; null: only shown. */
  readonly goal: number | null;
}

/** The value divided by its peer's; null where there is no peer. */
export function ratioOf(figure: Figure): number | null {
  return figure.peerValue === null ? null : figure.value / figure.peerValue;
}

/** Whether the goal is kept; null where there is none. */
export function holds(figure: Figure): boolean | null {
  if (figure.goal === null) return null;
  return (ratioOf(figure) ?? figure.value) <= figure.goal;
}

/** The middle of the values; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(at) - 1], sorted[Math.floor(at)]];
  if (low === undefined || high === undefined) throw new RangeError("median: no values; run again");
  return (low + high) / 2;
}

const rounded = (value: number | null) => value === null ? null : Math.round(value * 1000) / 1000;

/** The document of `--json`. */
export function figuresJson(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => ({
    name: figure.name,
    value: rounded(figure.value),
    unit: figure.unit,
    peer: figure.peer,
    peer_value: rounded(figure.peerValue),
    ratio: rounded(ratioOf(figure)),
    goal: figure.goal,
    holds: holds(figure),
  }));
  return `${JSON.stringify(rows, null, 2)}\n`;
}

function cells(figure: Figure): string[] {
  const number = (value: number | null) => value === null ? "" : value.toFixed(2);
  const kept = holds(figure);
  return [
    figure.name,
    `${number(figure.value)} ${figure.unit}`,
    figure.peer ?? "",
    figure.peerValue === null ? "" : `${number(figure.peerValue)} ${figure.unit}`,
    number(ratioOf(figure)),
    figure.goal === null ? "" : `≤ ${figure.goal}`,
    kept === null ? "" : kept ? "holds" : "MISSED",
  ];
}

/** The figures as a table for people. */
export function figuresTable(figures: readonly Figure[]): string {
  const head = ["figure", "value", "against", "its value", "ratio", "goal", ""];
  const rows = [head, ...figures.map(cells)];
  const widths = head.map((_, n) => Math.max(...rows.map((row) => (row[n] ?? "").length)));
  return rows.map((row) => row.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join("  ").trimEnd())
    .join("\n");
}
