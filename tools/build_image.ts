/**
 * Puts an image together: checks every file of the manifest, resolves again what programs need,
 * and writes two archives one behind the other (the kernel unpacks both): one of directories and what
 * the project itself brings, and a large one of packages, kept compressed in the cache. The result is a function
 * of its inputs alone.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { filtered, keepNewest, sha256, ToolError, writeWhole } from "./build_host.ts";
import { expectedFiles, fileBehind, type Sources } from "./build_closure.ts";
import { keyLine } from "./build_keys.ts";
import { type Form, type Manifest, type ManifestFile, sourceOf } from "./build_manifest.ts";
import { cpio, type CpioEntry } from "./cpio.ts";
import { elfInfo, isElf } from "./elf.ts";

export type Profile = "developer" | "release";

/** A file of the image with its content and the hash of it. */
export interface ImageEntry {
  readonly file: ManifestFile;
  /** Null for directories and links. */
  readonly data: Uint8Array | null;
  readonly sha256: string | null;
}

/** The entries of a manifest that one form and profile hold. */
export function selected(manifest: Manifest, form: Form, profile: Profile): ManifestFile[] {
  return manifest.files.filter((one) =>
    (one.form ?? form) === form && (one.profile ?? profile) === profile
  );
}

/**
 * Holds the manifest's list against what its written half asks for.
 *
 * @returns what differs, one line each; empty where nothing does
 */
export function manifestDrift(manifest: Manifest, sources: Sources): string[] {
  const key = ({ sha256: _, ...one }: ManifestFile) =>
    JSON.stringify(Object.entries(one).sort(([a], [b]) => a < b ? -1 : 1));
  const listed = new Map(manifest.files.map((one) => [key(one), one.path]));
  const expected = new Map(expectedFiles(manifest, sources).map((one) => [key(one), one.path]));
  return [
    ...[...expected].filter(([one]) => !listed.has(one)).map(([, at]) => `${at}: not listed`),
    ...[...listed].filter(([one]) => !expected.has(one)).map(([, at]) =>
      `${at}: listed, not needed`
    ),
  ].sort();
}

/**
 * Reads the entries' files and holds each against its hash.
 *
 * @param made content of what the build makes, by the name behind `built:`
 * @param warn called for a file that differs because its package is of another version
 * @throws ToolError for a file that differs from its hash at the pinned version
 */
export function readEntries(
  files: readonly ManifestFile[],
  sources: Sources,
  made: ReadonlyMap<string, Uint8Array>,
  warn: (line: string) => void,
): ImageEntry[] {
  return files.map((file) => {
    if (file.dir === true || file.link !== undefined) return { file, data: null, sha256: null };
    const { kind, name } = sourceOf(file.from);
    const behind = fileBehind(file, sources);
    const data = behind === null ? made.get(name) : fs.readFileSync(behind);
    if (data === undefined) {
      throw new ToolError(`${file.path}: nothing makes ${file.from}; mend the manifest`);
    }
    const hash = sha256(data);
    if (file.sha256 !== undefined && hash !== file.sha256) {
      const drifted = kind === "debian" && sources.debian.get(name)?.drifted === true;
      const words = `${file.path}: SHA-256 differs from the manifest's (${file.from})`;
      if (!drifted) throw new ToolError(`${words}; run tools/rayos manifest if that is wanted`);
      warn(words);
    }
    return { file, data, sha256: hash };
  });
}

/** Refuses a program whose libraries the image does not hold: what the build made is checked too. */
export function checkLibraries(entries: readonly ImageEntry[]): void {
  const names = new Set(entries.map((one) => path.posix.basename(one.file.path)));
  for (const { file, data } of entries) {
    if (data === null || sourceOf(file.from).kind !== "built" || !isElf(data)) continue;
    for (const name of elfInfo(data).needed) {
      if (!names.has(name)) {
        throw new ToolError(
          `${file.path}: needs ${name}, which the manifest does not list; add it`,
        );
      }
    }
  }
}

/**
 * Refuses an image that would trust the developer key, whatever the file is called there.
 *
 * @param developer the developer's public key file, as text
 */
export function refuseDeveloperKey(entries: readonly ImageEntry[], developer: string): void {
  for (const { file, data } of entries) {
    if (!file.path.startsWith("/etc/rayos/keys/") || data === null) continue;
    if (keyLine(new TextDecoder().decode(data)) === keyLine(developer)) {
      throw new ToolError(
        `${file.path}: a release image would trust this checkout's developer key; take it out`,
      );
    }
  }
}

/** An entry as the archive takes it. */
export function toCpio({ file, data, sha256: hash }: ImageEntry): CpioEntry {
  const [uid, gid] = file.owner.split(":").map(Number);
  const common = {
    path: file.path,
    mode: parseInt(file.mode, 8),
    uid: uid ?? 0,
    gid: gid ?? 0,
  };
  if (file.dir === true) return { ...common, kind: "dir" };
  if (file.link !== undefined) return { ...common, kind: "link", target: file.link };
  // Only names with the same content, mode and owner may become one file.
  return {
    ...common,
    kind: "file",
    data: data ?? new Uint8Array(0),
    same: `${hash} ${file.mode} ${file.owner}`,
  };
}

/** How an archive is compressed; part of the cache's key. */
export interface Compression {
  readonly program: "zstd" | "lz4";
  readonly args: readonly string[];
}

/**
 * Fast to unpack and small enough: measured in docs/IMAGE.md. One thread, so that the bytes do not
 * depend on the number of processors.
 */
export const BASE_COMPRESSION: Compression = {
  program: "zstd",
  args: ["-q", "-3", "--single-thread", "--no-check"],
};
export const TOP_COMPRESSION: Compression = {
  program: "zstd",
  args: ["-q", "-3", "--single-thread", "--no-check"],
};

/** Archives of packages kept in the cache: one for each form, and of the last few manifests. */
const KEPT_ARCHIVES = 6;

function compressed(entries: readonly ImageEntry[], how: Compression): Uint8Array {
  const chunks = [...cpio(entries.map(toCpio))];
  const archive = new Uint8Array(chunks.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of chunks) {
    archive.set(one, at);
    at += one.length;
  }
  return filtered(how.program, [...how.args, "-c", "{in}"], archive);
}

/** Of a list of entries: everything that ends up in an archive, in one hash. */
export function contentHash(entries: readonly ImageEntry[]): string {
  return sha256(
    entries.map(({ file, sha256: hash }) =>
      [file.path, file.mode, file.owner, hash ?? file.link ?? "dir"].join(" ")
    ).join("\n"),
  );
}

/**
 * The compressed archive of some entries, taken from the cache where it was made before.
 *
 * @param keep whether to put it into the cache
 */
export function archiveOf(
  entries: readonly ImageEntry[],
  how: Compression,
  cache: string,
  keep: boolean,
  say: (line: string) => void,
): Uint8Array {
  const key = sha256(`${contentHash(entries)} ${how.program} ${how.args.join(" ")}`).slice(0, 24);
  const file = path.join(cache, "archive", `${key}.cpio`);
  if (fs.existsSync(file)) return fs.readFileSync(file);
  if (keep) say(`compressing ${entries.length} files of packages (${how.program} ${how.args[1]})`);
  const bytes = compressed(entries, how);
  if (keep) {
    writeWhole(file, bytes);
    keepNewest(path.dirname(file), KEPT_ARCHIVES);
  }
  return bytes;
}

/** Whether a file belongs to the archive that changes only with the packages. */
export function isBase(file: ManifestFile): boolean {
  const { kind } = sourceOf(file.from);
  return kind === "debian" || kind === "npm";
}
