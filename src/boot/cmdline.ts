/**
 * The kernel command line, as data: the `rayos.*` keys with their defaults filled in, and a finding
 * for each key that is unknown or has a bad value. Words of other programs are left alone. It never
 * decides what a finding leads to (`cmdlineMeansSafe` says it) and never looks at the machine.
 */
import { type Issue, issue } from "../issue.ts";

/** What kind of image this is; only a developer's may run in developer mode. */
export type ImageProfile = "developer" | "release";

/**
 * Proof that developer mode is on. Only this module makes one, and only from a command line that
 * asks for it on an image that allows it; what developer mode switches off takes it as a parameter.
 */
export type DevMode = DevModeProof;

class DevModeProof {
  readonly #granted = true;
  /** Keeps the proof nominal: an object of the same shape is none. */
  get granted(): boolean {
    return this.#granted;
  }
}

/** Where a file system is to be found. */
export type BlockSource =
  | { readonly by: "label"; readonly label: string }
  | { readonly by: "uuid"; readonly uuid: string }
  | { readonly by: "device"; readonly path: string };

/** `tmpfs`: an empty data root at each boot, the policy of the image, no remembered serial. */
export type DataSource = BlockSource | { readonly by: "tmpfs" };

/** `if_present`: the default, used when such a file system exists, else there are no releases. */
export type SystemSource =
  | BlockSource
  | { readonly by: "none" }
  | { readonly by: "if_present"; readonly label: string };

/** The command line with every default in place. */
export interface Cmdline {
  readonly mode: "normal" | "safe" | "recovery";
  readonly data: DataSource;
  readonly system: SystemSource;
  readonly entry: "current" | "previous" | "recovery";
  /** Present when developer mode is asked for and this image allows it. */
  readonly dev: DevMode | null;
  /** Seconds until a boot that is not ready counts as failed. */
  readonly readyTimeoutS: number;
  /** The image harness's run number, 16 hex digits. */
  readonly harness: string | null;
}

type Draft = { -readonly [K in keyof Cmdline]: Cmdline[K] };

/** What one key accepts, in words, and how its value is read; null is a bad value. */
interface Key {
  readonly expected: string;
  readonly read: (value: string) => Partial<Draft> | null;
}

const MODES = ["normal", "safe", "recovery"] as const;
const ENTRIES = ["current", "previous", "recovery"] as const;
const READY_TIMEOUT = { min: 30, max: 3600, default: 120 };

const KEYS: ReadonlyMap<string, Key> = new Map(Object.entries<Key>({
  mode: { expected: MODES.join(", "), read: (v) => field("mode", oneOf(MODES, v)) },
  data: {
    expected: "LABEL=…, UUID=…, /dev/… or tmpfs",
    read: (v) => field("data", v === "tmpfs" ? { by: "tmpfs" } : blockSource(v)),
  },
  system: {
    expected: "LABEL=…, UUID=…, /dev/… or none",
    read: (v) => field("system", v === "none" ? { by: "none" } : blockSource(v)),
  },
  entry: { expected: ENTRIES.join(", "), read: (v) => field("entry", oneOf(ENTRIES, v)) },
  dev: { expected: "1", read: (v) => v === "1" ? { dev: new DevModeProof() } : null },
  ready_timeout: {
    expected: `seconds, ${READY_TIMEOUT.min}..${READY_TIMEOUT.max}`,
    read: (v) => field("readyTimeoutS", seconds(v)),
  },
  harness: {
    expected: "16 hex digits",
    read: (v) => /^[0-9a-f]{16}$/i.test(v) ? { harness: v } : null,
  },
}));

/** What a command line that says nothing means. */
export const CMDLINE_DEFAULTS: Cmdline = {
  mode: "normal",
  data: { by: "label", label: "RAYOS_DATA" },
  system: { by: "if_present", label: "RAYOS_SYSTEM" },
  entry: "current",
  dev: null,
  readyTimeoutS: READY_TIMEOUT.default,
  harness: null,
};

/**
 * Reads the kernel command line.
 *
 * @param text as in /proc/cmdline, the kernel's quoting included
 * @param profile what this image is, which decides whether `rayos.dev=1` is honoured
 * @returns always a usable command line, with the default for each key that had a finding; each
 *   finding has the rule `cmdline.<key>`
 */
export function parseCmdline(
  text: string,
  profile: ImageProfile,
): { cmdline: Cmdline; issues: Issue[] } {
  const issues: Issue[] = [];
  const seen = new Map<string, string | null>();
  const refused = new Set<string>();
  const draft: Draft = { ...CMDLINE_DEFAULTS };
  const refuse = (name: string, expected: string, found: string, hint: string) => {
    if (refused.has(name)) return;
    refused.add(name);
    issues.push(cmdlineIssue(name, expected, found, hint));
  };
  for (const { key, value } of words(text)) {
    if (!key.startsWith("rayos.")) continue;
    const name = key.slice("rayos.".length);
    const known = KEYS.get(name);
    if (known === undefined) {
      const keys = [...KEYS.keys()].map((one) => `rayos.${one}`).join(", ");
      refuse(name, `one of ${keys}`, key, `remove ${shorten(key)} from the kernel command line`);
    } else if (seen.has(name)) {
      if (seen.get(name) === value) continue;
      refuse(name, "one value", "two that differ", `give ${key} once`);
    } else {
      seen.set(name, value);
      const fields = value === null ? null : known.read(value);
      if (fields === null) {
        refuse(name, known.expected, value ?? "no value", `correct ${key} on the command line`);
      } else Object.assign(draft, fields);
    }
  }
  for (const name of refused) Object.assign(draft, defaultsOf(name));
  if (draft.dev !== null && profile === "release") {
    draft.dev = null;
    issues.push({
      ...cmdlineIssue("dev", "an image of profile developer", "rayos.dev=1 on a release image", ""),
      hint: "remove rayos.dev=1, or boot an image built with profile developer",
      severity: "warning",
    });
  }
  return { cmdline: draft, issues };
}

/**
 * Whether a finding of `parseCmdline` means safe mode. All do but one: developer mode asked of a
 * release image is reported as a violation too, and the boot goes on without developer mode.
 */
export function cmdlineMeansSafe(finding: Issue): boolean {
  return finding.severity === "error";
}

/**
 * The words of a command line as the kernel cuts them (lib/cmdline.c, next_arg): blanks end a word
 * unless a double quote is open, and the quotes around a word or around its value go away.
 */
function words(text: string): { key: string; value: string | null }[] {
  const found: string[] = [];
  let word: string | null = null;
  let quoted = false;
  for (const char of text) {
    if (char === '"') quoted = !quoted;
    if (!quoted && /[ \t\n\v\f\r]/.test(char)) {
      if (word !== null) found.push(word);
      word = null;
    } else word = (word ?? "") + char;
  }
  if (word !== null) found.push(word);
  return found.map((raw) => {
    const whole = raw.startsWith('"') ? unquote(raw) : raw;
    const equals = whole.indexOf("=");
    if (equals <= 0) return { key: whole, value: null };
    return { key: whole.slice(0, equals), value: unquote(whole.slice(equals + 1)) };
  });
}

function unquote(text: string): string {
  if (!text.startsWith('"')) return text;
  return text.slice(1, text.length > 1 && text.endsWith('"') ? -1 : undefined);
}

function field<K extends keyof Draft>(key: K, value: Draft[K] | null): Partial<Draft> | null {
  return value === null ? null : { [key]: value } as unknown as Partial<Draft>;
}

function oneOf<const T extends string>(values: readonly T[], text: string): T | null {
  return values.find((value) => value === text) ?? null;
}

function seconds(text: string): number | null {
  if (!/^[0-9]{1,4}$/.test(text)) return null;
  const value = Number(text);
  return value >= READY_TIMEOUT.min && value <= READY_TIMEOUT.max ? value : null;
}

/** Longest label that ext4 keeps is 16 bytes; a UUID may be ext4's or the short form of FAT. */
function blockSource(text: string): BlockSource | null {
  const label = /^LABEL=([A-Za-z0-9._-]{1,16})$/.exec(text)?.[1];
  if (label !== undefined) return { by: "label", label };
  const uuid = /^UUID=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{4}-[0-9a-f]{4})$/i.exec(
    text,
  )?.[1];
  if (uuid !== undefined) return { by: "uuid", uuid };
  const isDevice = /^\/dev(\/[A-Za-z0-9._-]+)+$/.test(text) && text.length <= 128 &&
    !text.split("/").some((part) => part === "." || part === "..");
  return isDevice ? { by: "device", path: text } : null;
}

function defaultsOf(name: string): Partial<Draft> {
  const key = name === "ready_timeout" ? "readyTimeoutS" : name;
  return Object.fromEntries(
    Object.entries(CMDLINE_DEFAULTS).filter(([one]) => one === key),
  );
}

function cmdlineIssue(name: string, expected: string, found: string, hint: string): Issue {
  const tail = name.replace(/[^A-Za-z0-9_.-]/g, "_").slice(0, 40) || "unnamed";
  return issue(`cmdline.${tail}`, { path: `rayos.${tail}`, expected, found: shorten(found), hint });
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
