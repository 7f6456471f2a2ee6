/**
 * Files of the running Linux, as the port wants them. Everything is synchronous: the files are small,
 * and a thread pool costs more than they do. It follows no link where the caller names a file of
 * RayOS Data, and decides nothing.
 */

import * as fs from "node:fs";
import { dirname } from "node:path";
import { Fault, reasonOf } from "../fault.ts";
import { freeAside } from "../free_name.ts";
import type { AppendFile, FileFacts } from "./port.ts";

const CHUNK = 64 * 1024;
/** A directory of ours never has so many; one that does was made to exhaust memory. */
const MOST_FILES = 100_000;

function isMissing(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** Whether an error, or the one that a fault carries, says that a file went, or the process that it tells of (proc(5)). */
export function isGone(error: unknown): boolean {
  const { cause } = error as { cause?: unknown };
  return [error, cause].some((one) => {
    const { code, message } = (one ?? {}) as { code?: string; message?: string };
    // Deno gives ESRCH (3) no code: the process ended between open(2) and read(2).
    return code === "ENOENT" || code === "ESRCH" || /\(os error 3\)/.test(message ?? "");
  });
}

/** Without waiting for a FIFO's writer or taking a terminal (open(2)). */
const CAREFUL = fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY;

/**
 * Opens a regular file, and no link to one. With permissions that name paths, Deno resolves links by
 * itself before it opens, so that neither O_NOFOLLOW nor a `nosymfollow` mount holds for an open: what
 * lstat(2) saw under that name is compared with what was opened. Links in the middle of a path end in
 * ELOOP at that lstat, since the data root and /run are mounted `nosymfollow`.
 *
 * @param flags of open(2); with O_CREAT the file is made where it is missing
 * @returns null where there is no such file and none is made
 * @throws Fault `file.not_plain` for a link or anything but a regular file
 */
export function openPlain(path: string, flags: number): number | null {
  const before = lstat(path);
  const create = (flags & fs.constants.O_CREAT) !== 0;
  if (before === null && !create) return null;
  if (before !== null && before.type !== "file") throw notPlain(path, `a ${before.type}`);
  const exact = before === null
    ? flags | fs.constants.O_EXCL
    : flags & ~(fs.constants.O_CREAT | fs.constants.O_EXCL);
  const fd = fs.openSync(path, exact | CAREFUL, 0o600);
  const opened = fs.fstatSync(fd);
  const seen = before ?? lstat(path);
  const same = seen?.type === "file" && seen.inode === opened.ino && seen.device === opened.dev;
  if (same) return fd;
  fs.closeSync(fd);
  throw notPlain(path, "another file than a moment before");
}

function notPlain(path: string, found: string): Fault {
  return new Fault("data", "file.not_plain", `${path}: ${found}; put a regular file there`);
}

/**
 * The file's bytes, or null where there is none, or none any more: a process may end while it is looked at.
 *
 * @throws Fault `file.too_large` beyond the limit in bytes, `file.not_plain`, `file.unreadable`
 */
export function readFile(path: string, limit: number): Uint8Array | null {
  let fd: number | null = null;
  try {
    fd = openPlain(path, fs.constants.O_RDONLY);
    return fd === null ? null : readAll(fd, path, limit);
  } catch (error) {
    if (error instanceof Fault) throw error;
    if (isGone(error)) return null;
    throw new Fault("data", "file.unreadable", `${path}: ${reasonOf(error)}; check it`, error);
  } finally {
    if (fd !== null) fs.closeSync(fd);
  }
}

function readAll(fd: number, path: string, limit: number): Uint8Array {
  const buffer = new Uint8Array(Math.min(limit + 1, CHUNK));
  let whole = new Uint8Array();
  while (true) {
    const count = fs.readSync(fd, buffer, 0, buffer.length, null);
    if (count === 0) return whole;
    if (whole.length + count > limit) {
      throw new Fault(
        "data",
        "file.too_large",
        `${path}: larger than ${limit} bytes; put a smaller file there`,
      );
    }
    const next = new Uint8Array(whole.length + count);
    next.set(whole);
    next.set(buffer.subarray(0, count), whole.length);
    whole = next;
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
      // In units of 512 bytes, whatever the file system has (stat(2)).
      allocated: facts.blocks * 512,
      uid: facts.uid,
      links: facts.nlink,
      device: facts.dev,
      inode: facts.ino,
      modifiedMs: facts.mtimeMs,
      changedMs: facts.ctimeMs,
    };
  } catch (error) {
    if (isMissing(error)) return null;
    throw new Fault("data", "file.unreadable", `${path}: ${reasonOf(error)}; check it`, error);
  }
}

/** The first bytes of a regular file; null where it is none or cannot be read. */
export function head(path: string, length: number): Uint8Array | null {
  return piece(path, length, () => 0);
}

/** The last bytes, likewise. */
export function tail(path: string, length: number): Uint8Array | null {
  return piece(path, length, (size) => Math.max(0, size - length));
}

function piece(path: string, length: number, from: (size: number) => number): Uint8Array | null {
  let fd: number | null = null;
  try {
    fd = openPlain(path, fs.constants.O_RDONLY);
    if (fd === null) return null;
    const buffer = new Uint8Array(length);
    return buffer.slice(0, fs.readSync(fd, buffer, 0, length, from(fs.fstatSync(fd).size)));
  } catch {
    return null;
  } finally {
    if (fd !== null) fs.closeSync(fd);
  }
}

export function list(path: string): string[] {
  try {
    const names: string[] = [];
    const directory = fs.opendirSync(path);
    try {
      for (let one = directory.readSync(); one !== null; one = directory.readSync()) {
        if (names.push(String(one.name)) > MOST_FILES) {
          const why = `${path}: more than ${MOST_FILES} files; remove some`;
          throw new Fault("data", "file.too_many", why);
        }
      }
    } finally {
      directory.closeSync();
    }
    return names.sort();
  } catch (error) {
    if (error instanceof Fault) throw error;
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

/**
 * Writes a whole file so that a power cut leaves the old one or the new one (rename(2)). What stands in its
 * place and is no file, which rename(2) would not replace, is set aside.
 */
export function replace(path: string, bytes: Uint8Array | string): void {
  const sibling = `${path}.new`;
  setAsideDirectory(path);
  setAsideDirectory(sibling);
  fs.rmSync(sibling, { force: true });
  const { O_WRONLY, O_CREAT } = fs.constants;
  const fd = openPlain(sibling, O_WRONLY | O_CREAT);
  if (fd === null) throw notPlain(sibling, "nothing");
  try {
    fs.writeFileSync(fd, bytes);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(sibling, path);
  syncDirectory(dirname(path));
}

function setAsideDirectory(path: string): void {
  if (lstat(path)?.type !== "directory") return;
  fs.renameSync(path, freeAside({ lstat }, path));
}

/** @throws Fault `file.not_plain` where there is no such file */
export function overwrite(path: string, bytes: Uint8Array): void {
  const fd = openPlain(path, fs.constants.O_WRONLY);
  if (fd === null) throw notPlain(path, "nothing");
  try {
    const written = fs.writeSync(fd, bytes, 0, bytes.length, 0);
    if (written !== bytes.length) {
      throw new Fault("data", "file.unwritable", `${path}: ${written} bytes were taken; check it`);
    }
    fs.fdatasyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Of two steps, so a power cut can leave both names; rename(2) would replace, and renameat2(2) is out of
 * reach.
 *
 * @throws Fault `file.exists` where the new name is taken
 */
export function renameNew(from: string, to: string): void {
  try {
    fs.linkSync(from, to);
  } catch (error) {
    const exists = (error as { code?: string }).code === "EEXIST";
    const code = exists ? "file.exists" : "file.unwritable";
    throw new Fault("data", code, `${to}: ${reasonOf(error)}; choose another name`, error);
  }
  fs.unlinkSync(from);
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
  const { O_WRONLY, O_CREAT, O_TRUNC } = fs.constants;
  const fd = openPlain(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (fd === null) return;
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
  const { O_WRONLY, O_CREAT, O_APPEND } = fs.constants;
  const fd = openPlain(path, O_WRONLY | O_CREAT | O_APPEND);
  if (fd === null) throw notPlain(path, "nothing");
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
    sync: () => fs.fdatasyncSync(fd),
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

/** All bytes of the file system that the path lies on. */
export function wholeBytes(path: string): number {
  const { blocks, bsize } = fs.statfsSync(path);
  return blocks * bsize;
}

/** Bytes of the file system that the path lies on, without the blocks that are root's alone. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = fs.statfsSync(path);
  return bavail * bsize;
}
