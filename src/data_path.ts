/**
 * The lexical rules of a path under the data root, and the only maker of `DataPath`. What is
 * decided here is decided from the text alone; whether a file is there, is regular, has one link
 * and lies on the right file system is asked of the opened file, elsewhere. Nothing here looks at
 * the machine.
 */
import { guestFolder, type GuestKind, type VmId } from "./id.ts";

declare const dataPathBrand: unique symbol;

/** A path relative to the data root that keeps every lexical rule: `a/b/c`, never `..`. */
export type DataPath = string & { readonly [dataPathBrand]: true };

/** Longest path in bytes; every allowed character is one byte. */
export const MAX_PATH_BYTES = 255;

/** Why a text is no path under the data root. */
export interface PathFault {
  readonly ok: false;
  readonly rule:
    | "path.type"
    | "path.empty"
    | "path.nul"
    | "path.absolute"
    | "path.escape"
    | "path.length"
    | "path.form"
    | "path.foreign";
  readonly expected: string;
  readonly found: string;
}

const PART = /^[A-Za-z0-9._-]+$/;
const FORM = "parts of A-Z a-z 0-9 . _ - joined by single slashes";

/**
 * Checks a text that some document gives as a path.
 *
 * @param text anything; only a string can be a path
 * @returns the path, or the first rule it breaks, with a shortened form of what was found
 */
export function dataPath(
  text: unknown,
): { readonly ok: true; readonly path: DataPath } | PathFault {
  if (typeof text !== "string") return fault("path.type", "a string", typeof text);
  if (text === "") return fault("path.empty", "a path under the data root", "nothing");
  if (text.includes("\0")) return fault("path.nul", "a path without NUL", text);
  if (text.startsWith("/")) return fault("path.absolute", "a path relative to the data root", text);
  const parts = text.split("/");
  if (parts.includes("..")) return fault("path.escape", "a path without ..", text);
  if (text.length > MAX_PATH_BYTES) {
    return fault("path.length", `at most ${MAX_PATH_BYTES} bytes`, `${text.length} characters`);
  }
  if (!parts.every((part) => part !== "." && PART.test(part))) {
    return fault("path.form", FORM, text);
  }
  return { ok: true, path: text as DataPath };
}

/** What the host keeps for itself inside a guest's folder: never inside a jail. */
const HOST_OWNED = ["state", "logs", "backup", "inbox", "outbox"] as const;

/**
 * Whether a guest may name that file: under its own folder or under the older layout's folder of
 * its kind, and never what the host keeps for itself. `policy/ logs/ crash/ boot/` and other
 * guests' folders are foreign because they are neither.
 *
 * @returns the path again, or the rule `path.foreign`
 */
export function ownedBy(
  path: DataPath,
  kind: GuestKind,
  id: VmId,
): { readonly ok: true; readonly path: DataPath } | PathFault {
  const own = `${guestFolder(kind, id)}/`;
  const older = `${kind}-guest/`;
  if (path.startsWith(older)) return { ok: true, path };
  if (path.startsWith(own)) {
    const first = path.slice(own.length).split("/", 1)[0];
    if (!HOST_OWNED.some((name) => name === first)) return { ok: true, path };
    return fault("path.foreign", `not ${first}/, which the host keeps for itself`, path);
  }
  return fault("path.foreign", `a path under ${own} or ${older}`, path);
}

/** Whether two paths are one file, or one lies inside the other. */
export function overlaps(one: DataPath, other: DataPath): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}

function fault(rule: PathFault["rule"], expected: string, found: string): PathFault {
  return { ok: false, rule, expected, found: found.length > 80 ? `${found.slice(0, 80)}…` : found };
}
