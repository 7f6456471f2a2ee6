/**
 * The course of a boot as a drawing (SVG 1.1): what came before the program, the phases, the guests with
 * their states, and the markers, on one scale of seconds. Pure; every text in it is escaped.
 */

import * as v from "valibot";
import { escapeUnsafe } from "../escape.ts";

const MARK = v.variant("kind", [
  v.object({ kind: v.literal("phase"), at: v.number(), name: v.string(), ended: v.boolean() }),
  v.object({ kind: v.literal("guest"), at: v.number(), name: v.string(), state: v.string() }),
  v.object({ kind: v.literal("marker"), at: v.number(), name: v.string() }),
]);
export const TIMELINE = v.object({
  boot_id: v.string(),
  start: v.number(),
  version: v.string(),
  now_ms: v.number(),
  before: v.nullable(v.object({ kernel: v.number(), stage0: v.number(), program: v.number() })),
  marks: v.array(MARK),
});
export type Timeline = v.InferOutput<typeof TIMELINE>;

/** One bar, in milliseconds since the kernel started. */
interface Bar {
  readonly label: string;
  readonly kind: string;
  readonly from: number;
  readonly to: number;
}

/** Pixels. */
const LEFT = 20;
const TOP = 64;
const ROW = 20;
const WIDTH = 1000;
const LABEL_ROOM = 260;
/** So long after the last mark the drawing ends. */
const AFTER_MS = 500;

const COLOURS: Readonly<Record<string, string>> = {
  before: "#9aa5b1",
  phase: "#3f7cac",
  starting: "#e3b448",
  resuming: "#e3b448",
  running: "#6aa84f",
  ready: "#38761d",
  paused: "#b4a7d6",
  stopping: "#cc8b65",
  suspending: "#cc8b65",
  failed: "#cc4125",
};
const OTHER = "#d0d4d9";

/** The drawing. */
export function renderBootChart(timeline: Timeline): string {
  const rows = [...beforeBars(timeline), ...phaseBars(timeline)].map((bar) => [bar]);
  rows.push(...guestRows(timeline));
  const markers = timeline.marks.filter((mark) => mark.kind === "marker");
  const last = Math.max(1000, ...rows.flat().map((bar) => bar.to), ...markers.map((one) => one.at));
  const end = last + AFTER_MS;
  const x = (ms: number) => round(LEFT + Math.max(0, Math.min(end, ms)) / end * WIDTH);
  const height = TOP + rows.length * ROW + markers.length * 14 + 40;
  const floor = TOP + rows.length * ROW;
  const whole = LEFT + WIDTH + LABEL_ROOM;
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${whole}" height="${height}" ` +
    `viewBox="0 0 ${whole} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>RayOS boot ${text(timeline.boot_id)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="20" font-size="16">RayOS ${text(timeline.version)}, boot ` +
    `${text(timeline.boot_id)}, start ${timeline.start}</text>`,
    ...scale(end, x, floor),
    ...rows.flatMap((bars, n) => drawRow(bars, TOP + n * ROW, x)),
    ...markers.map((mark, n) => {
      const at = x(mark.at);
      const y = floor + 22 + n * 14;
      return `<g><line x1="${at}" y1="${TOP}" x2="${at}" y2="${y}" stroke="#a61c00" ` +
        `stroke-dasharray="3 3"/><text x="${round(at + 4)}" y="${y}" fill="#a61c00">` +
        `${text(mark.name)} ${seconds(mark.at)}</text></g>`;
    }),
    "</svg>",
  ];
  return `${out.join("\n")}\n`;
}

function beforeBars({ before }: Timeline): Bar[] {
  if (before === null) return [];
  let from = 0;
  return Object.entries(before).map(([part, ms]) => {
    const bar = { label: part, kind: "before", from, to: from + ms };
    from += ms;
    return bar;
  });
}

function phaseBars({ marks, now_ms: now }: Timeline): Bar[] {
  const bars: Bar[] = [];
  const open = new Map<string, number>();
  for (const mark of marks) {
    if (mark.kind !== "phase") continue;
    const from = open.get(mark.name);
    if (!mark.ended) open.set(mark.name, mark.at);
    else if (from !== undefined) {
      open.delete(mark.name);
      bars.push({ label: mark.name, kind: "phase", from, to: mark.at });
    }
  }
  for (const [label, from] of open) bars.push({ label, kind: "phase", from, to: now });
  return bars;
}

/** One row a guest: a bar for each state that takes something. */
function guestRows({ marks, now_ms: now }: Timeline): Bar[][] {
  const rows = new Map<string, Bar[]>();
  const lastAt = Math.max(0, ...marks.map((mark) => mark.at));
  for (const mark of marks) {
    if (mark.kind !== "guest") continue;
    const row = rows.get(mark.name) ?? [];
    const before = row.pop();
    if (before !== undefined) row.push({ ...before, to: mark.at });
    // A guest that is up is drawn a little further than the last thing that happened.
    const to = Math.min(now, lastAt + AFTER_MS);
    row.push({ label: mark.name, kind: mark.state, from: mark.at, to: Math.max(mark.at, to) });
    rows.set(mark.name, row);
  }
  return [...rows.values()];
}

function scale(end: number, x: (ms: number) => number, floor: number): string[] {
  const step = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 3_600_000]
    .find((one) => end / one <= 20) ?? end;
  const lines: string[] = [];
  for (let ms = 0; ms <= end; ms += step) {
    lines.push(
      `<line x1="${x(ms)}" y1="${TOP - 14}" x2="${x(ms)}" y2="${floor}" stroke="#e4e7ea"/>`,
      `<text x="${x(ms)}" y="${TOP - 18}" fill="#616e7c" font-size="10">${seconds(ms)}</text>`,
    );
  }
  return lines;
}

function drawRow(bars: readonly Bar[], y: number, x: (ms: number) => number): string[] {
  const [first] = bars;
  const last = bars.at(-1);
  if (first === undefined || last === undefined) return [];
  const rects = bars.map((bar) => {
    const width = round(Math.max(1, x(bar.to) - x(bar.from)));
    const colour = Object.hasOwn(COLOURS, bar.kind) ? COLOURS[bar.kind] : OTHER;
    return `<rect x="${x(bar.from)}" y="${y + 3}" width="${width}" height="14" fill="${colour}">` +
      `<title>${text(bar.label)} ${text(bar.kind)} ${seconds(bar.from)} to ${seconds(bar.to)}` +
      `</title></rect>`;
  });
  const took = first.kind === "before" || first.kind === "phase"
    ? ` (${seconds(last.to - first.from)})`
    : ` ${text(last.kind)}`;
  return [
    ...rects,
    `<text x="${round(x(last.to) + 6)}" y="${y + 14}">${text(first.label)}${took}</text>`,
  ];
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function round(pixels: number): number {
  return Math.round(pixels * 100) / 100;
}

/** A text as character data of XML 1.0, which has no control character and no noncharacter either. */
function text(value: string): string {
  return escapeUnsafe(value).replace(/[\ufffe\uffff]/g, "?")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll(
      '"',
      "&quot;",
    );
}
