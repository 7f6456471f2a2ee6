/**
 * A program of a jail's under strace on this machine: in the root that the image has for it, with the very
 * lines of its launcher, and behind the filter that lets pass and records. Nothing of a launcher is copied
 * here: a jail that changes is recorded as it then is.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { type CallList, seccompFilter } from "../src/seccomp/filter.ts";
import { PROJECT } from "./boot_prepare.ts";
import { sourcesOf } from "./build.ts";
import { run, ToolError } from "./build_host.ts";
import { readEntries } from "./build_image.ts";
import { readManifest } from "./build_manifest.ts";
import { straceOptions, type TracedCall, tracedCalls } from "./seccomp_trace.ts";

const SETPRIV = "/usr/bin/setpriv";
/** Where the image has what belongs to launchers. */
const LAUNCHERS = "/usr/lib/rayos";
const SKELETON = `${PROJECT}/initramfs/skeleton${LAUNCHERS}`;

/**
 * The part of a launcher that becomes the jail: its limits, its filter, bubblewrap with all arguments.
 *
 * @throws ToolError where the launcher has no such part
 */
export function jailLines(launcher: string): string {
  const lines = launcher.split("\n");
  const jail = lines.findIndex((line) => line.includes("/usr/bin/bwrap "));
  const begin = lines.slice(0, jail).findLastIndex((line) => line.trim() === "(");
  const end = lines.findIndex((line, index) => index > jail && line.trim().startsWith(")"));
  if (jail < 0 || begin < 0 || end < 0) throw new ToolError("launcher: it has no jail to record");
  // The cgroup is the host's.
  return lines.slice(begin + 1, end).filter((line) => !line.includes("cgroup.procs")).join("\n");
}

/** The part of a launcher's text that a pattern finds. @throws ToolError where it finds none */
export function partOf(launcher: string, pattern: RegExp): string {
  const found = pattern.exec(launcher)?.[0];
  if (found === undefined) throw new ToolError(`launcher: it has no ${pattern}; mend the recorder`);
  return found;
}

/** The text of one of the image's launchers, by name. */
export async function launcherText(name: string): Promise<string> {
  return await Deno.readTextFile(`${SKELETON}/${name}`);
}

/** Writes the roots of all jails, as the image has them, below a folder. */
export function writeJailRoots(folder: string, say: (line: string) => void): void {
  const manifest = readManifest(`${PROJECT}/initramfs/manifest.jsonc`);
  const sources = sourcesOf(manifest, PROJECT, `${PROJECT}/.cache`, say);
  const own = manifest.files.filter((one) => one.path.startsWith(`${LAUNCHERS}/root/`));
  for (const { file, data } of readEntries(own, sources, new Map(), say)) {
    const at = `${folder}${file.path}`;
    fs.mkdirSync(path.dirname(at), { recursive: true, mode: 0o755 });
    if (file.link !== undefined) fs.symlinkSync(file.link, at);
    else if (data === null) fs.mkdirSync(at, { recursive: true, mode: 0o755 });
    else fs.writeFileSync(at, data, { mode: parseInt(file.mode, 8) });
  }
}

/** What a launcher knows when it comes to its jail. */
export interface Jailed {
  readonly launcher: string;
  readonly list: CallList;
  /** The name of the variable that names the filter's file. */
  readonly filterVariable: string;
  readonly variables: Readonly<Record<string, string>>;
  /** A part of the launcher's text that it does before. */
  readonly before?: RegExp;
}

/** A jail's program while it is recorded. */
export interface Recorded {
  /** False once it has ended. */
  readonly running: () => boolean;
  /** Sends a signal to the jail's first program and to none beside it. */
  readonly signal: (signal: Deno.Signal) => void;
  /** Waits for its end and gives what it called. */
  readonly calls: () => Promise<readonly TracedCall[]>;
}

let recordings = 0;

/**
 * Starts one jail.
 *
 * @param folder where `writeJailRoots` has written the roots; the recording lies there too
 */
export async function recordJail(folder: string, jailed: Jailed): Promise<Recorded> {
  const own = `${folder}/recording-${++recordings}`;
  await Deno.writeFile(`${own}.bpf`, seccompFilter(jailed.list, "log"));
  const variables = {
    ...jailed.variables,
    bb: "/bin/busybox",
    [jailed.filterVariable]: `${own}.bpf`,
  };
  const text = (await launcherText(jailed.launcher)).replaceAll(LAUNCHERS, `${folder}${LAUNCHERS}`);
  const script = [
    ...Object.entries(variables).map(([name, value]) => `${name}='${value}'`),
    ...jailed.before === undefined ? [] : [partOf(text, jailed.before)],
    jailLines(text),
  ].join("\n");
  // The tracer stands outside: the jail's own limit of a file's size would be that of its file too.
  const process = new Deno.Command("strace", {
    args: [
      ...["-o", `${own}.trace`, ...straceOptions([])],
      ...["/bin/busybox", "sh", "-c", script, jailed.launcher],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let running = true;
  const ended = process.output().finally(() => running = false);
  return {
    running: () => running,
    signal(signal) {
      const program = running ? programBelow(process.pid) : 0;
      if (program !== 0) Deno.kill(program, signal);
    },
    async calls() {
      const { stderr } = await ended;
      const calls = tracedCalls(await Deno.readTextFile(`${own}.trace`), SETPRIV);
      if (calls.length === 0) {
        throw new ToolError(`${jailed.launcher}: ${new TextDecoder().decode(stderr).trim()}`);
      }
      return calls;
    },
  };
}

/** The tracer's child is bubblewrap, whose child is the jail's program; 0 where there is none. */
export function programBelow(tracer: number): number {
  let at = tracer;
  for (let depth = 0; depth < 2 && at !== 0; depth++) {
    // Not read by this program: Deno opens nothing below /proc without all permissions.
    at = Number(run("cat", [`/proc/${at}/task/${at}/children`]).split(" ")[0]);
  }
  return at;
}
