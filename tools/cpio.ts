/**
 * Writes the archive format that the kernel unpacks as its first root (cpio "newc", kernel
 * Documentation/driver-api/early-userspace/buffer-format.rst). The bytes depend on the given entries
 * alone: inode numbers are counted, every time is the same, the owner is what the entry says. It
 * never looks at a file system.
 */

/** One name in the archive. `path` is absolute in the image; parents must come before children. */
export type CpioEntry =
  & { readonly path: string; readonly mode: number; readonly uid: number; readonly gid: number }
  & (
    | { readonly kind: "dir" }
    | { readonly kind: "link"; readonly target: string }
    /** Entries with the same `same` are one file under several names (hard links). */
    | { readonly kind: "file"; readonly data: Uint8Array; readonly same: string }
  );

const S_IFDIR = 0o040000, S_IFREG = 0o100000, S_IFLNK = 0o120000;
const TYPE = { dir: S_IFDIR, file: S_IFREG, link: S_IFLNK } as const;
const text = new TextEncoder();

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - length % 4) % 4);
}

function header(fields: readonly number[], name: string): Uint8Array[] {
  const bytes = text.encode(`${name}\0`);
  const all = [...fields, bytes.length, 0].map((one) => one.toString(16).padStart(8, "0"));
  const head = text.encode(`070701${all.join("").toUpperCase()}`);
  return [head, bytes, padding(head.length + bytes.length)];
}

/**
 * The archive as chunks, in the order of the entries, ended by its trailer.
 */
export function* cpio(entries: readonly CpioEntry[]): Generator<Uint8Array> {
  const names = new Map<string, number>();
  for (const one of entries) {
    if (one.kind === "file") names.set(one.same, (names.get(one.same) ?? 0) + 1);
  }
  const inodes = new Map<string, number>();
  let next = 1;
  for (const one of entries) {
    const known = one.kind === "file" ? inodes.get(one.same) : undefined;
    const inode = known ?? next++;
    if (one.kind === "file") inodes.set(one.same, inode);
    // The kernel takes the content from the first name and links the others to it.
    const data = one.kind === "link"
      ? text.encode(one.target)
      : one.kind === "file" && known === undefined
      ? one.data
      : new Uint8Array(0);
    const links = one.kind === "file" ? names.get(one.same) ?? 1 : 1;
    yield* header(
      [inode, TYPE[one.kind] | one.mode, one.uid, one.gid, links, 0, data.length, 0, 0, 0, 0],
      one.path.replace(/^\//, ""),
    );
    if (data.length > 0) {
      yield data;
      yield padding(data.length);
    }
  }
  yield* header([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "TRAILER!!!");
}
