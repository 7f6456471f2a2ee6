/**
 * The options of `tools/rayos boot`: words in, a checked value out. Reads no file and starts
 * nothing; whether a named file exists is found by whoever uses it.
 */
import { type MarkerPattern, parsePattern } from "./boot_judge.ts";

/** The two forms in which the program ships. */
export type Form = "compiled" | "bundled";

export interface BootOptions {
  readonly interactive: boolean;
  /** Directory with `vmlinux` (or `vmlinuz`) and `initramfs.img`; null: build this checkout's. */
  readonly image: string | null;
  readonly form: Form;
  readonly policy: string | null;
  readonly sign: boolean;
  readonly key: string | null;
  readonly data: string | null;
  readonly append: string;
  readonly expect: readonly MarkerPattern[];
  readonly refuse: readonly MarkerPattern[];
  /** Seconds for the whole run; null: the default, or none when interactive. */
  readonly timeout: number | null;
  readonly kvm: boolean;
  readonly json: string | null;
  readonly junit: string | null;
  readonly keep: string | null;
}

export type ParsedOptions =
  | { readonly kind: "run"; readonly options: BootOptions }
  | { readonly kind: "help" }
  | { readonly kind: "usage"; readonly message: string };

export const BOOT_HELP = `usage: tools/rayos boot [options]

Builds and boots a RayOS image in QEMU, shows its serial console, and judges the boot by what the
host reports on a port of the harness's own. Ends by the power button once all expected was seen.

  --image DIR            boot DIR/vmlinux (or vmlinuz) and DIR/initramfs.img instead of building
  --form compiled|bundled   which form of the program to build (default: compiled)
  --policy FILE          policy of the fresh data disk, with FILE.minisig beside it where there is one
  --sign                 sign that policy with this checkout's developer key
  --key FILE             a minisign public key that the image trusts for policies in this run
  --data IMG             boot with this data disk (it is written to) instead of a fresh one
  --append "k=v …"       more words for the kernel command line
  --expect MARKER        an EVENT, or its first parts, and fields: "RAYOS_READY mode=safe";
                         may be given often. Without it a good boot is expected
  --refuse MARKER        fails when it is seen at any time of the run; may be given often
  --timeout S            seconds for the whole run (default 300; interactive: none)
  --no-kvm               the machine has no /dev/kvm
  --interactive          give the console to this terminal; Ctrl-] presses the power button, and
                         ends the machine at once when pressed again
  --json FILE            result as JSON (- for standard output)
  --junit FILE           result as JUnit XML
  --keep DIR             keep console, log lines and disk in DIR
  --help                 this text

Exit: 0 as expected, 1 not, 2 usage, 3 environment, 130 interrupted.`;

type ValueName =
  | "image"
  | "form"
  | "policy"
  | "key"
  | "data"
  | "append"
  | "expect"
  | "refuse"
  | "timeout"
  | "json"
  | "junit"
  | "keep";
const VALUES: readonly string[] = [
  "image",
  "form",
  "policy",
  "key",
  "data",
  "append",
  "expect",
  "refuse",
  "timeout",
  "json",
  "junit",
  "keep",
] satisfies ValueName[];
const REPEATED: readonly string[] = ["expect", "refuse", "append"];
const FLAGS: readonly string[] = ["interactive", "sign", "no-kvm"];

/** Splits the words into options and values, or says what is wrong with them. */
function split(args: readonly string[]): Map<string, string[]> | string {
  const found = new Map<string, string[]>();
  for (let n = 0; n < args.length; n += 1) {
    const word = args[n] ?? "";
    const [, name = "", inline] = /^--([a-z-]+)(?:=([\s\S]*))?$/u.exec(word) ?? [];
    if (FLAGS.includes(name)) {
      if (inline !== undefined) return `--${name} takes no value`;
      found.set(name, []);
    } else if (VALUES.includes(name)) {
      const value = inline ?? args[n += 1];
      if (value === undefined) return `--${name} needs a value`;
      if (found.has(name) && !REPEATED.includes(name)) return `--${name} is given twice`;
      found.set(name, [...(found.get(name) ?? []), value]);
    } else {
      return `${JSON.stringify(word)} is no option of boot`;
    }
  }
  return found;
}

/** The options that these words name; `usage` with a sentence where they name none. */
export function parseBootOptions(args: readonly string[]): ParsedOptions {
  if (args.includes("--help") || args.includes("-h")) return { kind: "help" };
  const found = split(args);
  if (typeof found === "string") return { kind: "usage", message: found };
  const usage = (message: string): ParsedOptions => ({ kind: "usage", message });
  const one = (name: ValueName): string | null => found.get(name)?.[0] ?? null;

  const form = one("form") ?? "compiled";
  if (form !== "compiled" && form !== "bundled") {
    return usage(`--form is compiled or bundled, not ${JSON.stringify(form)}`);
  }
  const timeout = one("timeout");
  if (timeout !== null && !/^[1-9]\d{0,5}$/u.test(timeout)) {
    return usage(`--timeout is a whole number of seconds, not ${JSON.stringify(timeout)}`);
  }
  const append = (found.get("append") ?? []).join(" ").trim();
  if (/(^|\s)rayos\.harness=/u.test(append)) {
    return usage("--append cannot set rayos.harness: the harness makes it anew for each run");
  }
  if (/[\n\r\0]/u.test(append)) return usage("--append is one line of text");
  const patterns: Record<"expect" | "refuse", MarkerPattern[]> = { expect: [], refuse: [] };
  for (const name of ["expect", "refuse"] as const) {
    for (const text of found.get(name) ?? []) {
      const parsed = parsePattern(text);
      if (parsed === null) return usage(`--${name} ${JSON.stringify(text)} is no marker`);
      patterns[name].push(parsed);
    }
  }
  if (found.has("sign") && !found.has("policy")) return usage("--sign needs --policy FILE");
  if (found.has("policy") && found.has("data")) {
    return usage("--policy is for a fresh data disk: leave it out, or leave out --data");
  }
  return {
    kind: "run",
    options: {
      interactive: found.has("interactive"),
      image: one("image"),
      form,
      policy: one("policy"),
      sign: found.has("sign"),
      key: one("key"),
      data: one("data"),
      append,
      ...patterns,
      timeout: timeout === null ? null : Number(timeout),
      kvm: !found.has("no-kvm"),
      json: one("json"),
      junit: one("junit"),
      keep: one("keep"),
    },
  };
}
