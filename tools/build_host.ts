/**
 * The few things every build step does with this machine: run a tool and take its output, hash,
 * write a file whole. Everything here fails with a ToolError that says what to do next; nothing here
 * knows what is being built.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/** A build step that cannot go on; the message is for a person. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

function start(program: string, args: readonly string[], options: RunOptions) {
  const done = spawnSync(program, [...args], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    // Output is data here: it must not depend on who builds, where, or in which language.
    env: {
      PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
      HOME: Deno.env.get("HOME") ?? "/",
      LC_ALL: "C.UTF-8",
      TZ: "UTC",
      ...options.env,
    },
    maxBuffer: 1 << 30,
  });
  if (done.error !== undefined) {
    throw new ToolError(`${program}: ${done.error.message}; tools/rayos installs what is missing`);
  }
  return done;
}

/** Runs a tool and returns its standard output; throws ToolError with its last words if it fails. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): string {
  return new TextDecoder().decode(run.bytes(program, args, options));
}

/** As `run`, with the output as bytes. */
run.bytes = (program: string, args: readonly string[], options: RunOptions = {}): Uint8Array => {
  const done = start(program, args, options);
  if (done.status !== 0) {
    const words = new TextDecoder().decode(done.stderr).trim().split("\n").slice(-6).join("\n");
    throw new ToolError(
      `${program} ${args.slice(0, 6).join(" ")}: exit ${done.status ?? done.signal}\n${words}`,
    );
  }
  return done.stdout;
};

/** As `run`, with the exit status as the result. */
run.status = (program: string, args: readonly string[], options: RunOptions = {}): number =>
  start(program, args, options).status ?? 255;

/** SHA-256 of bytes or UTF-8 text, hexadecimal. */
export function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

/** SHA-256 of a file's content, hexadecimal. */
export function sha256File(file: string): string {
  return sha256(fs.readFileSync(file));
}

/** Writes a file under a sibling name and renames it, so that no reader sees half of it. */
export function writeWhole(file: string, data: Uint8Array | string, mode = 0o644): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const partial = `${file}.partial-${Deno.pid}`;
  // The mode from the start: a secret is never readable, not even for an instant.
  fs.writeFileSync(partial, data, { mode });
  fs.chmodSync(partial, mode);
  fs.renameSync(partial, file);
}

/**
 * Runs a filter over bytes by way of two files: a pipe at both ends of one process stalls once its
 * output has filled the pipe while its input is still being written.
 *
 * @param args of the tool; `{in}` stands for the input file; the output is what it prints
 */
export function filtered(program: string, args: readonly string[], input: Uint8Array): Uint8Array {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "rayos-build-"));
  try {
    const file = path.join(dir, "in");
    fs.writeFileSync(file, input);
    return run.bytes(program, args.map((one) => one === "{in}" ? file : one));
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** All regular files and links below a directory, as sorted paths relative to it. */
export function filesBelow(dir: string): string[] {
  if (!fs.existsSync(dir)) return [];
  return fs.readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((one) => !one.isDirectory())
    .map((one) => path.relative(dir, path.join(one.parentPath, one.name)))
    .sort();
}

/**
 * Keeps the newest entries of a cache directory and removes the rest: every change of the source
 * leaves an executable of 90 MB behind.
 */
export function keepNewest(dir: string, count: number): void {
  if (!fs.existsSync(dir)) return;
  const age = (name: string) => fs.statSync(path.join(dir, name)).mtimeMs;
  const names = fs.readdirSync(dir).sort((a, b) => age(b) - age(a));
  for (const name of names.slice(count)) {
    fs.rmSync(path.join(dir, name), { recursive: true, force: true });
  }
}
