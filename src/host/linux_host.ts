/**
 * The real host: the port's calls on a running Linux. Made once, by `main.ts`. It acts as it is told
 * and decides nothing.
 */

import * as fs from "node:fs";
import { Fault, reasonOf } from "../fault.ts";
import { type Launcher, launcherPath, PATHS } from "../permissions.ts";
import { consoleKeys, consoleLaunch, consoleScreen, giveConsoleBack } from "./linux_console.ts";
import * as files from "./linux_files.ts";
import { openFrame } from "./linux_frame.ts";
import { processesOf, processFacts } from "./linux_process.ts";
import { createFile, exchange, openFile, readDevice } from "./linux_streams.ts";
import { connect, listen } from "./linux_sockets.ts";
import type { Clock, Host, LauncherResult } from "./port.ts";

const encoder = new TextEncoder();

/** The host this program runs on. */
export function linuxHost(): Host {
  const port = harnessPort();
  return {
    clock: linuxClock(),
    pid: Deno.pid,
    cpus: navigator.hardwareConcurrency,
    read: files.readFile,
    readText: files.readText,
    lstat: files.lstat,
    freeBytes: files.freeBytes,
    wholeBytes: files.wholeBytes,
    head: files.head,
    tail: files.tail,
    list: files.list,
    canOpen: files.canOpen,
    replace: files.replace,
    overwrite: files.overwrite,
    put: files.put,
    makeDirectory: files.makeDirectory,
    remove: (path) => fs.rmSync(path, { force: true }),
    rename: (from, to) => fs.renameSync(from, to),
    renameNew: files.renameNew,
    syncDirectory: files.syncDirectory,
    append: files.openAppend,
    create: createFile,
    open: openFile,
    launch,
    connect,
    listen,
    processesOf,
    processFacts,
    console: (text) => writeAll(encoder.encode(text)),
    harness: port.write,
    device: readDevice,
    exchange,
    frame: openFrame,
    consoleScreen,
    consoleKeys,
    consoleLaunch,
    onPowerButton: (callback) => Deno.addSignalListener("SIGTERM", callback),
    onUncaught,
    drain: port.drain,
    exit: (code) => {
      giveConsoleBack();
      Deno.exit(code);
    },
  };
}

function onUncaught(callback: (error: unknown) => void): void {
  const end = (event: Event, error: unknown) => {
    event.preventDefault();
    try {
      callback(error);
    } finally {
      Deno.exit(1);
    }
  };
  globalThis.addEventListener("error", (event) => end(event, event.error));
  globalThis.addEventListener("unhandledrejection", (event) => end(event, event.reason));
}

function writeAll(bytes: Uint8Array): void {
  let at = 0;
  while (at < bytes.length) at += Deno.stdout.writeSync(bytes.subarray(at));
}

function linuxClock(): Clock {
  // /proc/uptime counts from the kernel's start in steps of 10 ms; the rest is our own clock's.
  const uptime = Number((files.readText(`${PATHS.proc}/uptime`, 256) ?? "0").split(" ")[0]);
  const offset = uptime * 1000 - performance.now();
  return {
    monoMs: () => offset + performance.now(),
    wall: () => new Date(),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        signal?.addEventListener("abort", () => {
          clearTimeout(timer);
          resolve();
        }, { once: true });
      }),
  };
}

/**
 * Starts a launcher and waits for its one line. A launcher that starts a guest leaves it running; its
 * output is not inherited by the guest, so the wait ends with the launcher.
 */
async function launch(
  name: Launcher,
  args: readonly string[],
  timeoutMs: number,
): Promise<LauncherResult> {
  const path = launcherPath(name);
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(path, {
      args: [...args],
      env: {},
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
  } catch (error) {
    throw new Fault("launch", "launcher.missing", `${path}: ${reasonOf(error)}; rebuild the image`);
  }
  const late = setTimeout(() => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended, and something that it left behind holds its output.
    }
  }, timeoutMs);
  try {
    const output = await child.output();
    const text = new TextDecoder().decode(output.stdout.subarray(0, 4096));
    const words = text.split("\n").filter((line) => line !== "").at(-1)?.split(" ") ?? [];
    return { code: output.code, words };
  } finally {
    clearTimeout(late);
  }
}

/** The harness's virtio-serial port: written in order, off the main path, since its reader may stall. */
function harnessPort(): { write(text: string): void; drain(timeoutMs: number): Promise<void> } {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(`${PATHS.run}/harness`, { write: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { write: () => {}, drain: () => Promise.resolve() };
  }
  let last: Promise<void> = Promise.resolve();
  const put = async (bytes: Uint8Array) => {
    let at = 0;
    while (at < bytes.length) at += await file.write(bytes.subarray(at));
  };
  return {
    write(text) {
      const bytes = encoder.encode(text);
      last = last.then(() => put(bytes)).catch(() => {});
    },
    async drain(timeoutMs) {
      await Promise.race([last, new Promise((resolve) => setTimeout(resolve, timeoutMs))]);
    },
  };
}
