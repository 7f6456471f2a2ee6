/**
 * Makes and reads ext4 disk images from outside, without mounting anything and without being root
 * (mke2fs(8) -d, debugfs(8), e2fsck(8)). It writes only the image it is asked for and a temporary
 * directory of its own.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { run, sha256, ToolError } from "./build_host.ts";

/** One file of a disk. A hard link names another file of the same disk. */
export type DiskFile =
  | { readonly content: string | Uint8Array }
  | { readonly copyOf: string }
  | { readonly symlink: string }
  | { readonly hardLinkTo: string };

export interface DataDiskOptions {
  /** The image; replaced where it exists. */
  readonly path: string;
  readonly sizeMiB: number;
  readonly label?: string;
  /** Path on the disk → file. Directories come by themselves, 0700. */
  readonly files: Readonly<Record<string, DiskFile>>;
  /** Path on the disk → mode; files are 0600 otherwise. A path that is no file makes a directory. */
  readonly modes?: Readonly<Record<string, number>>;
}

/** One name of a disk. */
export interface DiskEntry {
  readonly path: string;
  readonly kind: "file" | "dir" | "link" | "other";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
}

const KINDS: Record<number, DiskEntry["kind"]> = { 0o10: "file", 0o04: "dir", 0o12: "link" };

/** A disk path without its leading slash; refuses what would leave the disk, or its tools' quoting. */
function plain(name: string): string {
  const bare = name.replace(/^\/+/, "");
  const parts = bare.split("/");
  if (/["\n]/.test(bare) || parts.some((one) => one === "" || one === "." || one === "..")) {
    throw new ToolError(
      `data disk: ${name}: not a path on the disk; name it without .. and quotes`,
    );
  }
  return bare;
}

/** A UUID that follows from a text, so that the same disk is made twice with the same bytes of it. */
function uuidOf(text: string): string {
  const hex = sha256(text);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}

function put(root: string, name: string, file: DiskFile): void {
  const target = path.join(root, name);
  fs.mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
  if ("content" in file) {
    fs.writeFileSync(target, file.content);
  } else if ("copyOf" in file) {
    run("cp", ["--sparse=always", "--no-preserve=all", "--", file.copyOf, target]);
  } else if ("symlink" in file) {
    fs.symlinkSync(file.symlink, target);
  } else {
    fs.linkSync(path.join(root, plain(file.hardLinkTo)), target);
  }
  if (!("symlink" in file)) fs.chmodSync(target, 0o600);
}

function debugfs(image: string, request: string, write = false): string {
  return run("debugfs", [...(write ? ["-w"] : []), "-R", request, image]);
}

/**
 * Makes an ext4 image that holds the given files, all of them root's.
 *
 * @throws ToolError where mke2fs refuses, mostly because the files do not fit
 */
export function makeDataDisk(options: DataDiskOptions): void {
  const { label = "RAYOS_DATA", modes = {} } = options;
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "rayos-disk-"));
  try {
    // Hard links last: what they name has to be there.
    const files = Object.entries(options.files)
      .map(([name, file]) => ({ name: plain(name), file }))
      .sort((a, b) => Number("hardLinkTo" in a.file) - Number("hardLinkTo" in b.file));
    for (const { name, file } of files) put(root, name, file);
    for (const [name, mode] of Object.entries(modes)) {
      const target = path.join(root, plain(name));
      if (!fs.existsSync(target)) fs.mkdirSync(target, { recursive: true, mode: 0o700 });
      fs.chmodSync(target, mode);
    }
    fs.rmSync(options.path, { force: true });
    const id = uuidOf(label);
    run("mke2fs", [
      ...["-q", "-t", "ext4", "-L", label, "-U", id],
      ...["-E", `hash_seed=${id},root_owner=0:0`, "-d", root],
      options.path,
      `${options.sizeMiB}M`,
    ]);
    if (fs.statSync(root).uid !== 0) ownByRoot(options.path);
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}

/** mke2fs takes owners from the directory it copies; whoever is not root cannot set them there. */
function ownByRoot(image: string): void {
  for (const { path: name } of listDataDisk(image)) {
    if (name === "/lost+found") continue;
    for (const field of ["uid", "gid"]) {
      debugfs(image, `set_inode_field "${name}" ${field} 0`, true);
    }
  }
}

/** The content of a file of an image, or null where the image has no such file. */
export function readDataDisk(image: string, file: string): Uint8Array | null {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "rayos-disk-"));
  try {
    const target = path.join(dir, "file");
    debugfs(image, `dump "/${plain(file)}" ${target}`);
    return fs.existsSync(target) ? fs.readFileSync(target) : null;
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** Puts another file, of root's and with a new inode, in the place of one of an image. */
export function writeDataDisk(image: string, file: string, bytes: Uint8Array): void {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "rayos-disk-"));
  try {
    const source = path.join(dir, "file");
    fs.writeFileSync(source, bytes, { mode: 0o600 });
    debugfs(image, `rm "/${plain(file)}"`, true);
    debugfs(image, `write ${source} "/${plain(file)}"`, true);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** Everything below a directory of an image, in order of path. */
export function listDataDisk(image: string, below = "/"): DiskEntry[] {
  const base = below === "/" ? "" : `/${plain(below)}`;
  // debugfs prints /inode/mode/uid/gid/name/size/ for each name of a directory.
  const lines = debugfs(image, `ls -p "${base === "" ? "/" : base}"`).split("\n");
  return lines.flatMap((line): DiskEntry[] => {
    const [, inode, mode, uid, gid, name, size] = line.split("/");
    if (inode === undefined || inode === "0" || mode === undefined) return [];
    if (name === undefined || name === "." || name === "..") return [];
    const bits = parseInt(mode, 8);
    const one: DiskEntry = {
      path: `${base}/${name}`,
      kind: KINDS[bits >> 12] ?? "other",
      mode: bits & 0o7777,
      uid: Number(uid),
      gid: Number(gid),
      size: Number(size || "0"),
    };
    return one.kind === "dir" ? [one, ...listDataDisk(image, one.path)] : [one];
  }).sort((a, b) => a.path < b.path ? -1 : 1);
}

/**
 * Whether e2fsck finds nothing to mend in an image; it changes nothing.
 *
 * @returns what it said, and `clean` false for any finding
 */
export function checkDataDisk(image: string): { clean: boolean; words: string } {
  try {
    return { clean: true, words: run("e2fsck", ["-fn", image]) };
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    return { clean: false, words: error.message };
  }
}
