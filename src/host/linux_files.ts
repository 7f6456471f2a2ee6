/**
 * Files of the running Linux, as the port wants them. Everything is synchronous: the files are small,
 * and a thread pool costs more than they do. It follows no link where the caller names a file of
 * RayOS Data, and decides nothing.
 */

import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import { dirname } from "node:path";
import { Fault, reasonOf } from "../fault.ts";
import type { AppendFile, FileFacts } from "./port.ts";

function isMissing(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** open(2) for reading without following a link and without waiting for a FIFO's writer. */
const SAFE_READ = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK |
  fs.constants.O_NOCTTY;

/**
 * The file's bytes, or null where there is none.
 *
 * @throws Fault `file.too_large` beyond the limit in bytes, `file.unreadable`
 */
export function readFile(path: string, limit: number): Uint8Array | null {
  let fd: number;
  try {
    fd = fs.openSync(path, SAFE_READ);
  } catch (error) {
    if (isMissing(error)) return null;
    throw new Fault("data", "file.unreadable", `${path}: ${reasonOf(error)}; check it`, error);
  }
  try {
    const buffer = Buffer.alloc(Math.min(limit + 1, 64 * 1024));
    const pieces: Uint8Array[] = [];
    let total = 0;
    while (true) {
      const count = fs.readSync(fd, buffer, 0, buffer.length, null);
      if (count === 0) break;
      pieces.push(Uint8Array.from(buffer.subarray(0, count)));
      total += count;
      if (total > limit) {
        throw new Fault(
          "data",
          "file.too_large",
          `${path}: larger than ${limit} bytes; put a smaller file there`,
        );
      }
    }
    return pieces.length === 1 && pieces[0] !== undefined
      ? pieces[0]
      : Buffer.concat(pieces, total);
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("data", "file.unreadable", `${path}: ${reasonOf(error)}; check it`, error);
  } finally {
    fs.closeSync(fd);
  }
}

export function readText(path: string, limit: number): string | null {
  const bytes = readFile(path, limit);
  if (bytes === null) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

export function lstat(path: string): FileFacts | null {
  try {
    const facts = fs.lstatSync(path);
    const type = facts.isFile()
      ? "file"
      : facts.isDirectory()
      ? "directory"
      : facts.isSymbolicLink()
      ? "symlink"
      : "other";
    return {
      type,
      size: facts.size,
      uid: facts.uid,
      links: facts.nlink,
      device: facts.dev,
      inode: facts.ino,
      modifiedMs: facts.mtimeMs,
    };
  } catch (error) {
    if (isMissing(error)) return null;
    throw new Fault("data", "file.unreadable", `${path}: ${reasonOf(error)}; check it`, error);
  }
}

/** The first bytes of a regular file; null where it is none or cannot be read. */
export function head(path: string, length: number): Uint8Array | null {
  let fd: number;
  try {
    fd = fs.openSync(path, SAFE_READ);
  } catch {
    return null;
  }
  try {
    if (!fs.fstatSync(fd).isFile()) return null;
    const buffer = Buffer.alloc(length);
    return Uint8Array.from(buffer.subarray(0, fs.readSync(fd, buffer, 0, length, 0)));
  } catch {
    return null;
  } finally {
    fs.closeSync(fd);
  }
}

export function list(path: string): string[] {
  try {
    return fs.readdirSync(path).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw new Fault("data", "file.unreadable", `${path}: ${reasonOf(error)}; check it`, error);
  }
}

export function canOpen(path: string): boolean {
  try {
    fs.closeSync(fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW));
    return true;
  } catch {
    return false;
  }
}

/** Writes a whole file so that a power cut leaves the old one or the new one (rename(2)). */
export function replace(path: string, bytes: Uint8Array | string): void {
  const sibling = `${path}.new`;
  fs.rmSync(sibling, { force: true });
  const fd = fs.openSync(
    sibling,
    fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW,
    0o600,
  );
  try {
    fs.writeFileSync(fd, bytes);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(sibling, path);
  syncDirectory(dirname(path));
}

export function syncDirectory(path: string): void {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** One write(2), for files of the kernel that take their value in one. */
export function put(path: string, text: string): void {
  const fd = fs.openSync(
    path,
    fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_TRUNC | fs.constants.O_NOFOLLOW,
    0o600,
  );
  try {
    fs.writeSync(fd, text);
  } finally {
    fs.closeSync(fd);
  }
}

export function makeDirectory(path: string): void {
  try {
    fs.mkdirSync(path, 0o700);
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
    if (lstat(path)?.type !== "directory") {
      throw new Fault(
        "data",
        "data.not_a_directory",
        `${path}: something else than a directory is there; move it away`,
      );
    }
  }
}

export function openAppend(path: string): AppendFile {
  const fd = fs.openSync(
    path,
    fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_APPEND | fs.constants.O_NOFOLLOW,
    0o600,
  );
  let size = fs.fstatSync(fd).size;
  let open = true;
  return {
    get size() {
      return size;
    },
    append(bytes) {
      let written = 0;
      while (written < bytes.length) written += fs.writeSync(fd, bytes, written);
      size += bytes.length;
    },
    close() {
      if (!open) return;
      open = false;
      try {
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    },
  };
}
