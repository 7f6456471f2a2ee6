/**
 * Numbers as OpenMetrics text, for whatever collects them (https://openmetrics.io, version 1.0.0). Pure. A
 * name or a label that is none is a mistake of the caller's and leaves its family out, never the text
 * unreadable.
 */

export type MetricType = "gauge" | "counter" | "info" | "stateset";

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  /** Not a number: nothing is known, and no sample is written. */
  readonly value: number;
}

/** One family: what it is called, what it means, and its samples. */
export interface Family {
  /** Without `_total` and `_info`. */
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** The name ends with it. */
  readonly unit?: "seconds" | "bytes";
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const SUFFIX: Readonly<Record<MetricType, string>> = {
  gauge: "",
  counter: "_total",
  info: "_info",
  stateset: "",
};

/** The whole exposition, with its end. */
export function renderOpenMetrics(families: readonly Family[]): string {
  const seen = new Set<string>();
  const blocks = families.flatMap((family) => {
    if (!isSound(family) || seen.has(family.name)) return [];
    seen.add(family.name);
    return [renderFamily(family)];
  });
  return `${blocks.join("")}# EOF\n`;
}

function isSound({ name, unit, samples }: Family): boolean {
  return NAME.test(name) && (unit === undefined || name.endsWith(`_${unit}`)) &&
    samples.every(({ labels = {} }) => Object.keys(labels).every((label) => NAME.test(label)));
}

function renderFamily({ name, type, help, unit, samples }: Family): string {
  const known = samples.filter((one) => !Number.isNaN(one.value));
  if (known.length === 0) return "";
  const head = [
    `# TYPE ${name} ${type}`,
    ...unit === undefined ? [] : [`# UNIT ${name} ${unit}`],
    `# HELP ${name} ${escaped(help)}`,
  ];
  const lines = known.map(({ labels = {}, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    const set = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
    return `${name}${SUFFIX[type]}${set} ${numberOf(value)}`;
  });
  return `${[...head, ...lines].join("\n")}\n`;
}

/** A text in quotes or after HELP: a line end would begin a line of its own. */
function escaped(text: string): string {
  return text.toWellFormed().replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')
    // Some readers take others of these for line ends as well.
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, " ");
}

function numberOf(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}
