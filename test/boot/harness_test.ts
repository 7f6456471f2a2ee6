/**
 * The harness itself, against imitated hosts: what it accepts, what cannot fool it, and that it
 * leaves nothing behind. Real QEMU, real kernel; the program is not in these images.
 */
import assert from "node:assert/strict";
import { makeDataDisk, policyFiles } from "../../tools/boot_data.ts";
import { DEFAULT_POLICY, PROJECT } from "../../tools/boot_prepare.ts";
import { type Fake, fakeImage } from "./fake_image.ts";

interface Harness {
  readonly process: Deno.ChildProcess;
  /** TMPDIR of the run: what is in it afterwards was left behind. */
  readonly temporary: string;
}

/** Starts the harness's command on an imitated host, with a data disk and a TMPDIR of its own. */
async function start(
  fake: Fake,
  args: readonly string[],
  home: string,
  stdin: "null" | "piped" = "null",
): Promise<Harness> {
  const image = await fakeImage(fake);
  const data = `${home}/data.img`;
  makeDataDisk(data, policyFiles(await Deno.readTextFile(DEFAULT_POLICY), null), {
    sizeMiB: 4,
  });
  const temporary = `${home}/tmp`;
  await Deno.mkdir(temporary);
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-P=tools", `${PROJECT}/tools/boot.ts`],
      ...["--image", image, "--data", data, ...args],
    ],
    env: { TMPDIR: temporary },
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return { process, temporary };
}

/** Deno opens nothing under /proc without all permissions; a shell does. */
const LIST_PROCESSES = `for one in /proc/[0-9]*; do
  tr '\\0' ' ' < "$one/cmdline" 2> /dev/null && echo
done`;

/** Command lines of running processes that name the directory. */
async function processesNaming(directory: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", LIST_PROCESSES],
    stdin: "null",
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line.includes(directory));
}

/** A killed process is gone a moment after the signal: asks for at most five seconds. */
async function assertNothingLeft(temporary: string): Promise<void> {
  let left = await processesNaming(temporary);
  for (let n = 0; n < 50 && left.length > 0; n += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    left = await processesNaming(temporary);
  }
  assert.deepEqual(left, []);
}

async function assertNoFiles(temporary: string): Promise<void> {
  assert.deepEqual([...await Array.fromAsync(Deno.readDir(temporary))].map((one) => one.name), []);
}

async function inHome<T>(body: (home: string) => Promise<T>): Promise<T> {
  // Short, whatever TMPDIR is: the harness goes elsewhere when a socket's path would not fit (unix(7)).
  const home = await Deno.makeTempDir({ dir: "/tmp", prefix: "rayos-harness-test-" });
  try {
    return await body(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command to its end and asserts that nothing is left of it. */
async function run(fake: Fake, args: readonly string[], home: string): Promise<Result> {
  const { process, temporary } = await start(fake, args, home);
  const { code, stdout, stderr } = await process.output();
  await assertNothingLeft(temporary);
  await assertNoFiles(temporary);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("boot passes an imitated good boot and writes its results", async () => {
  await inHome(async (home) => {
    const files = ["--json", `${home}/r.json`, "--junit", `${home}/r.xml`, "--keep", `${home}/k`];
    const { code, out, err } = await run("good", files, home);
    assert.equal(code, 0, out + err);
    assert.match(out, /^boot worked after /mu);
    assert.match(out, /^ {2}policy +5 /mu);
    const result = JSON.parse(await Deno.readTextFile(`${home}/r.json`));
    assert.equal(result.ok, true);
    assert.match(result.markers[0], /^RAYOS_INIT_START version=.* start=1$/u);
    assert.match(result.markers.at(-1), /^RAYOS_SHUTDOWN:poweroff:button$/u);
    assert.equal(result.console, `${home}/k/console.log`);
    assert.match(await Deno.readTextFile(result.console), /Power down/u);
    assert.match(await Deno.readTextFile(`${home}/r.xml`), /failures="0"/u);
  });
});

Deno.test("boot judges --refuse until the machine's end", async () => {
  await inHome(async (home) => {
    const args = ["--expect", "RAYOS_READY", "--refuse", "RAYOS_POLICY_VIOLATION:path.foreign"];
    const { code, out } = await run("violation_at_end", args, home);
    assert.equal(code, 1, out);
    assert.match(out, /^boot failed .*refuse RAYOS_POLICY_VIOLATION:path\.foreign: seen/mu);
  });
});

Deno.test("boot is not fooled by console text, the command line or a foreign run number", async () => {
  await inHome(async (home) => {
    const wanted = "RAYOS_READY mode=normal";
    const args = ["--expect", wanted, "--append", wanted, "--timeout", "60"];
    const { code, out } = await run("forged", args, home);
    assert.equal(code, 1, out);
    assert.match(out, /INFO init RAYOS_READY mode=normal/u, "the console shows the forged line");
    assert.match(out, /^boot failed .*expect RAYOS_READY mode=normal: not seen/mu);
    assert.match(out, /^ignored: 4 lines without this run's number/mu);
  });
});

Deno.test("boot names the phase that hung and shows the last lines", async () => {
  await inHome(async (home) => {
    const { code, out } = await run("hangs", ["--timeout", "12"], home);
    assert.equal(code, 1, out);
    assert.match(out, /^boot failed .*hung in phase policy, stopped after 12 s/mu);
    assert.match(out, /^last lines:\n.*RAYOS_INIT_START/mu);
  });
});

Deno.test("boot fails when the kernel panics instead of waiting", async () => {
  await inHome(async (home) => {
    const args = ["--append", "rdinit=/nothing root=/dev/nothing", "--timeout", "60"];
    const { code, out } = await run("good", args, home);
    assert.equal(code, 1, out);
    assert.match(out, /Kernel panic/u);
    assert.match(out, /^boot failed .*expect RAYOS_INIT_START: not seen/mu);
  });
});

/** The command's output as it comes; what is not asked for is read away. */
class Output {
  #text = "";
  #ended = false;
  #wake = () => {};

  constructor(stdout: ReadableStream<Uint8Array>) {
    (async () => {
      for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
        this.#text += text;
        this.#wake();
      }
      this.#ended = true;
      this.#wake();
    })();
  }

  /** Returns once the text has come; fails the test when the command ends without it. */
  async until(wanted: RegExp): Promise<void> {
    while (!wanted.test(this.#text)) {
      if (this.#ended) assert.fail(`ended before ${wanted}: ${this.#text}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.test(`boot leaves no process and no file behind on ${signal}`, async () => {
    await inHome(async (home) => {
      const { process, temporary } = await start("hangs", ["--append", "loglevel=7"], home);
      await new Output(process.stdout).until(/Linux version/u);
      assert.equal((await processesNaming(temporary)).length, 1);
      process.kill(signal);
      process.stderr.cancel();
      assert.equal((await process.status).code, 130);
      await assertNothingLeft(temporary);
      await assertNoFiles(temporary);
    });
  });
}

Deno.test("boot leaves no process behind when it is killed", async () => {
  await inHome(async (home) => {
    const { process, temporary } = await start("hangs", ["--append", "loglevel=7"], home);
    await new Output(process.stdout).until(/Linux version/u);
    process.kill("SIGKILL");
    process.stderr.cancel();
    await process.status;
    await assertNothingLeft(temporary);
  });
});

Deno.test("boot --interactive hands the terminal over, and Ctrl-] presses the power button", async () => {
  await inHome(async (home) => {
    const args = ["--interactive", "--timeout", "60"];
    const { process, temporary } = await start("good", args, home, "piped");
    const terminal = process.stdin.getWriter();
    const output = new Output(process.stdout);
    await output.until(/type something/u);
    await terminal.write(new TextEncoder().encode("hello\r"));
    await output.until(/typed hello/u);
    await terminal.write(new Uint8Array([0x1d]));
    process.stderr.cancel();
    assert.equal((await process.status).code, 0);
    await terminal.close().catch(() => {});
    await assertNothingLeft(temporary);
    await assertNoFiles(temporary);
  });
});

Deno.test("boot says what is wrong with its words and with what they name", async () => {
  await inHome(async (home) => {
    const bad = await run("good", ["--timeout", "never"], home);
    assert.equal(bad.code, 2);
    assert.match(bad.err, /^rayos: boot: --timeout .*--help$/mu);
  });
  await inHome(async (home) => {
    await Deno.mkdir(`${home}/full/of`, { recursive: true });
    const full = await run("good", ["--keep", `${home}/full`], home);
    assert.equal(full.code, 3);
    assert.match(full.err, /^rayos: boot: --keep .*: of is in it; name a new one$/mu);
  });
});
