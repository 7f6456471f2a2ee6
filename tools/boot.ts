/**
 * `tools/rayos boot`: boots an image in QEMU and says whether it did what was expected. The command
 * line's edge: it prints, writes the result files and sets the exit code; the rest is in the other
 * boot_*.ts files. Nothing it started, and no temporary file, is there when it ends.
 */
import { Fault, reasonOf } from "../src/fault.ts";
import { conduct } from "./boot_conduct.ts";
import { judge, type Verdict } from "./boot_judge.ts";
import { bootMachine, type BootRun } from "./boot_machine.ts";
import { BOOT_HELP, type BootOptions, parseBootOptions } from "./boot_options.ts";
import { prepare } from "./boot_prepare.ts";
import {
  bootJson,
  bootJunit,
  finalLine,
  markersOf,
  phaseTable,
  phaseTimes,
} from "./boot_report.ts";

const EXIT = { ok: 0, failed: 1, usage: 2, environment: 3, interrupted: 130 } as const;
const DEFAULT_TIMEOUT_S = 300;
const LAST_LINES = 20;
/** Ctrl-], as in telnet(1). */
const ESCAPE = 0x1d;

const encoder = new TextEncoder();

/** Where people's text goes: standard error when standard output is kept for the JSON. */
function screenOf(options: BootOptions): (bytes: Uint8Array) => void {
  const target = options.json === "-" ? Deno.stderr : Deno.stdout;
  return (bytes) => {
    try {
      for (let done = 0; done < bytes.length;) done += target.writeSync(bytes.subarray(done));
    } catch {
      // Nobody reads any more; the boot is judged all the same.
    }
  };
}

/** Hands the terminal to the machine's console until the run ends. */
async function terminal(run: BootRun): Promise<void> {
  const tty = Deno.stdin.isTerminal();
  if (tty) Deno.stdin.setRaw(true);
  try {
    const reader = Deno.stdin.readable.getReader();
    run.ended.then(() => reader.cancel().catch(() => {}));
    let pressed = false;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const at = value.indexOf(ESCAPE);
      if (at < 0) {
        await run.typeBytes(value);
      } else if (pressed) {
        await run.cutPower();
        return;
      } else {
        pressed = true;
        await run.typeBytes(value.subarray(0, at));
        await run.powerButton();
      }
    }
  } finally {
    if (tty) Deno.stdin.setRaw(false);
  }
}

/** The work directory: a new temporary one, or the one that is to be kept, which must be empty. */
async function workDirectory(keep: string | null): Promise<string> {
  if (keep === null) return await Deno.makeTempDir({ prefix: "rayos-work-" });
  await Deno.mkdir(keep, { recursive: true });
  for await (const { name } of Deno.readDir(keep)) {
    throw new Fault("cli", "keep.not_empty", `--keep ${keep}: ${name} is in it; name a new one`);
  }
  return keep;
}

async function writeResults(
  options: BootOptions,
  run: BootRun,
  verdict: Verdict,
  seconds: number,
): Promise<void> {
  let console = options.keep === null ? null : `${options.keep}/console.log`;
  if (options.json !== null && options.json !== "-") console ??= `${options.json}.console.log`;
  if (console !== null) await Deno.writeTextFile(console, run.console);
  if (options.keep !== null) {
    const lines = run.lines.map((line) => `${line.text}\n`).join("");
    await Deno.writeTextFile(`${options.keep}/host.log`, lines);
  }
  if (options.json !== null) {
    const json = bootJson(verdict, run.lines, run, console);
    if (options.json === "-") await Deno.stdout.write(encoder.encode(json));
    else await Deno.writeTextFile(options.json, json);
  }
  if (options.junit !== null) await Deno.writeTextFile(options.junit, bootJunit(verdict, seconds));
}

function report(run: BootRun, verdict: Verdict, hung: boolean): string {
  const parts = ["", phaseTable(phaseTimes(run.lines, run)), "", "markers:"];
  parts.push(...markersOf(run.lines).map((text) => `  ${text}`), "");
  const { foreign, malformed } = run.ignored;
  if (foreign + malformed > 0) {
    parts.push(`ignored: ${foreign} lines without this run's number, ${malformed} malformed`, "");
  }
  if (hung) parts.push("last lines:", run.tail(LAST_LINES), "");
  parts.push(finalLine(verdict, run.now() / 1000), "");
  return parts.join("\n");
}

async function boot(options: BootOptions, signal: AbortSignal): Promise<number> {
  const screen = screenOf(options);
  const print = (text: string) => screen(encoder.encode(text));
  const work = await workDirectory(options.keep);
  try {
    const prepared = await prepare(options, work, (text) => print(`${text}\n`));
    if (signal.aborted) return EXIT.interrupted;
    await using run = await bootMachine({ ...prepared.machine, onConsole: screen });
    if (options.interactive) {
      print("console: Ctrl-] presses the power button, and again ends the machine at once\r\n");
    }
    const typing = options.interactive ? terminal(run) : null;
    const ending = await conduct(run, {
      expectation: prepared.expectation,
      timeout: options.timeout ?? (options.interactive ? null : DEFAULT_TIMEOUT_S),
      signal,
      powerButton: !options.interactive,
    });
    await typing;
    const verdict = judge(run.lines, prepared.expectation, ending);
    print(report(run, verdict, ending.kind === "timeout"));
    await writeResults(options, run, verdict, run.now() / 1000);
    if (ending.kind === "interrupted") return EXIT.interrupted;
    return verdict.ok ? EXIT.ok : EXIT.failed;
  } finally {
    if (options.keep === null) await Deno.remove(work, { recursive: true });
  }
}

async function main(args: readonly string[]): Promise<number> {
  const parsed = parseBootOptions(args);
  if (parsed.kind === "help") {
    console.log(BOOT_HELP);
    return EXIT.ok;
  }
  if (parsed.kind === "usage") {
    console.error(`rayos: boot: ${parsed.message}; see tools/rayos boot --help`);
    return EXIT.usage;
  }
  const controller = new AbortController();
  const abort = () => controller.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of signals) Deno.addSignalListener(name, abort);
  try {
    return await boot(parsed.options, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return EXIT.interrupted;
    console.error(`rayos: boot: ${error instanceof Fault ? error.message : reasonOf(error)}`);
    return EXIT.environment;
  } finally {
    for (const name of signals) Deno.removeSignalListener(name, abort);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
