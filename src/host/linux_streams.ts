/**
 * Large files, written or read from one end to the other: the saved memory of a guest. Unlike the small
 * files of `linux_files.ts` these are not waited for, so that a slow disk holds nothing else up. It
 * follows no link and decides nothing.
 */

import * as fs from "node:fs";
import { Fault, reasonOf } from "../fault.ts";
import { openPlain } from "./linux_files.ts";
import type { NewFile, OpenFile } from "./port.ts";

/** So many bytes are gathered for one write(2). */
const WRITE_CHUNK = 1024 * 1024;

/** @throws Fault `file.exists`, `file.unwritable`; a full disk when the bytes are written */
export function createFile(path: string): NewFile {
  const fd = openNew(path);
  const buffer = new Uint8Array(WRITE_CHUNK);
  let held = 0;
  let written = 0;
  let open = true;
  const flush = async () => {
    for (let at = 0; at < held;) {
      at += await call<number>((done) => fs.write(fd, buffer, at, held - at, written + at, done));
    }
    written += held;
    held = 0;
  };
  const close = () => {
    if (!open) return;
    open = false;
    fs.closeSync(fd);
  };
  const failed = (error: unknown) =>
    new Fault(
      "data",
      "file.unwritable",
      `${path}: ${reasonOf(error)}; free space on the disk`,
      error,
    );
  return {
    get size() {
      return written + held;
    },
    async append(bytes) {
      try {
        for (let at = 0; at < bytes.length;) {
          const piece = bytes.subarray(at, at + WRITE_CHUNK - held);
          buffer.set(piece, held);
          held += piece.length;
          at += piece.length;
          if (held === WRITE_CHUNK) await flush();
        }
      } catch (error) {
        throw failed(error);
      }
    },
    async skip(length) {
      try {
        await flush();
        written += length;
      } catch (error) {
        throw failed(error);
      }
    },
    async finish() {
      try {
        await flush();
        // A hole at the end.
        await call<void>((done) => fs.ftruncate(fd, written, done));
        await call<void>((done) => fs.fsync(fd, done));
      } catch (error) {
        throw failed(error);
      } finally {
        close();
      }
    },
    abandon: close,
  };
}

function openNew(path: string): number {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  try {
    return fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  } catch (error) {
    const exists = (error as { code?: string }).code === "EEXIST";
    const code = exists ? "file.exists" : "file.unwritable";
    throw new Fault("data", code, `${path}: ${reasonOf(error)}; check the folder`, error);
  }
}

/** @throws Fault `file.not_plain`, `file.unreadable` */
export function openFile(path: string): OpenFile | null {
  let fd: number | null;
  try {
    fd = openPlain(path, fs.constants.O_RDONLY);
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("data", "file.unreadable", `${path}: ${reasonOf(error)}; check it`, error);
  }
  if (fd === null) return null;
  const opened = fd;
  const { size, ino } = fs.fstatSync(opened);
  let open = true;
  return {
    size,
    inode: ino,
    async read(position, length) {
      const buffer = new Uint8Array(length);
      let held = 0;
      try {
        while (held < length) {
          const count = await call<number>((done) =>
            fs.read(opened, buffer, held, length - held, position + held, done)
          );
          if (count === 0) break;
          held += count;
        }
      } catch (error) {
        throw new Fault("data", "file.unreadable", `${path}: ${reasonOf(error)}; check it`, error);
      }
      return buffer.subarray(0, held);
    },
    close() {
      if (!open) return;
      open = false;
      fs.closeSync(opened);
    },
  };
}

/**
 * Bytes that are taken from a device at one time: what the largest record of `/dev/kmsg` has, which gives
 * EINVAL to whoever takes less (CONSOLE_EXT_LOG_MAX of Linux 6.1, kernel/printk/printk.c).
 */
const DEVICE_CHUNK = 8192;

/** @throws Fault `device.gone` */
export async function* readDevice(path: string): AsyncIterable<Uint8Array> {
  const buffer = new Uint8Array(DEVICE_CHUNK);
  try {
    using file = await Deno.open(path, { read: true });
    while (true) {
      const count = await file.read(buffer);
      if (count === null) break;
      yield buffer.slice(0, count);
    }
  } catch (error) {
    throw new Fault(
      "input",
      "device.gone",
      `${path}: ${reasonOf(error)}; plug it in and reboot`,
      error,
    );
  }
}

/** @throws Fault `device.failed` */
export async function exchange(
  path: string,
  message: Uint8Array,
  limit: number,
): Promise<Uint8Array> {
  try {
    using file = await Deno.open(path, { read: true, write: true });
    const written = await file.write(message);
    if (written !== message.length) {
      throw new Error(`it took ${written} of ${message.length} bytes`);
    }
    const buffer = new Uint8Array(limit);
    const count = await file.read(buffer) ?? 0;
    return buffer.slice(0, count);
  } catch (error) {
    const message = `${path}: ${reasonOf(error)}; look at the kernel's messages`;
    throw new Fault("measure", "device.failed", message, error);
  }
}

/** A call of `node:fs` that answers by a callback, as a promise. */
function call<T>(work: (done: (error: Error | null, value?: unknown) => void) => void): Promise<T> {
  return new Promise((resolve, reject) =>
    work((error, value) => error === null ? resolve(value as T) : reject(error))
  );
}
