/**
 * The facts of this boot, as data: which image this is, which boot, which start of the program within
 * it, and whether starts have been dying. Pure; the texts come in as the kernel and the image have them.
 */

import * as v from "valibot";

/** What the image says of itself (`/etc/rayos/build.json`). */
export interface ImageFacts {
  readonly version: string;
  readonly buildId: string;
  readonly profile: "developer" | "release";
  readonly form: string;
  readonly runtime: string;
  /** When it was built; the wall clock is not believed before it. */
  readonly built: Date;
}

const BUILD = v.looseObject({
  version: v.string(),
  build_id: v.string(),
  profile: v.picklist(["developer", "release"]),
  form: v.string(),
  runtime: v.string(),
  built: v.pipe(v.string(), v.isoTimestamp()),
});

/** The image's facts; null where the text is none of ours. */
export function imageFacts(buildJson: string | null): ImageFacts | null {
  const parsed = v.safeParse(BUILD, parseJson(buildJson));
  if (!parsed.success) return null;
  const { version, build_id, profile, form, runtime, built } = parsed.output;
  return { version, buildId: build_id, profile, form, runtime, built: new Date(built) };
}

const BOOT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether a name or text is a boot id as the kernel makes them (random(4)). */
export function isBootId(text: string): boolean {
  return BOOT_ID.test(text);
}

/** Starts of the program within one boot, kept under /run. */
export interface Starts {
  /** 1 for the first. */
  readonly start: number;
  /** How many starts died before they were ready, since the host was last healthy. */
  readonly diedBeforeReady: number;
}

/** So many starts that were never ready, with no {@link HEALTHY_MS} between them, mean safe mode. */
export const CRASH_LOOP = 5;
/** Ready for so long, in milliseconds, and what died before is forgotten. */
export const HEALTHY_MS = 600_000;

const STARTS = v.strictObject({
  boot: v.string(),
  start: v.pipe(v.number(), v.integer(), v.minValue(1)),
  ready: v.boolean(),
  diedBeforeReady: v.pipe(v.number(), v.integer(), v.minValue(0)),
});

/**
 * The count for the start that happens now.
 *
 * @param text what the last start left, null when it is the first
 */
export function nextStart(text: string | null, bootId: string): Starts {
  const parsed = v.safeParse(STARTS, parseJson(text));
  if (!parsed.success || parsed.output.boot !== bootId) return { start: 1, diedBeforeReady: 0 };
  const last = parsed.output;
  return {
    start: last.start + 1,
    diedBeforeReady: last.ready ? last.diedBeforeReady : last.diedBeforeReady + 1,
  };
}

/** What a start leaves for the next one. */
export function renderStarts(bootId: string, starts: Starts, ready: boolean): string {
  return JSON.stringify({
    boot: bootId,
    start: starts.start,
    ready,
    diedBeforeReady: starts.diedBeforeReady,
  });
}

/** Milliseconds of what happened before the program's first line. */
export interface BeforeProgram {
  readonly kernelMs: number;
  readonly stage0Ms: number;
  readonly programMs: number;
}

/**
 * @param stage0 `<start> <end>` in seconds since the kernel started, as stage 0 wrote it
 * @param monoMs the program's first look at the clock
 */
export function beforeProgram(stage0: string | null, monoMs: number): BeforeProgram | null {
  const match = stage0?.match(/^(\d+\.\d+) (\d+\.\d+)\s*$/);
  if (!match) return null;
  const start = Math.round(Number(match[1]) * 1000);
  const end = Math.round(Number(match[2]) * 1000);
  return { kernelMs: start, stage0Ms: end - start, programMs: Math.round(monoMs) - end };
}

const TWENTY_YEARS_MS = 20 * 365.25 * 24 * 3600 * 1000;

/**
 * Whether the wall clock can be believed: between the build and twenty years after, and not before the
 * last boot that is remembered.
 *
 * @returns null when it can, else why not
 */
export function whyNotTrusted(wall: Date, built: Date, lastBoot: Date | null): string | null {
  if (wall.getTime() < built.getTime()) return "before_the_build";
  if (wall.getTime() > built.getTime() + TWENTY_YEARS_MS) return "too_far_ahead";
  if (lastBoot !== null && wall.getTime() < lastBoot.getTime()) return "before_the_last_boot";
  return null;
}

function parseJson(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
