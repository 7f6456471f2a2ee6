/**
 * The form of a saved state's file: QEMU's stream as it came, then a trailer that says what it belongs
 * to. The trailer comes last so that the file is written in one pass and a cut file has none. Pure: it
 * reads no file, and parses no byte that the host's key does not vouch for.
 *
 * ```
 * stream | JSON (RFC 8785) | HMAC-SHA-256 (32) | JSON's length (4) | version (4) | "RAYOSSAV" (8)
 * ```
 * Numbers are big endian. The HMAC covers the JSON and the 16 bytes behind it; the JSON holds size and
 * SHA-256 of the stream, and both parts together are the whole file, so no byte is left uncovered.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import * as v from "valibot";
import { type Issue, issue } from "../issue.ts";
import { canonicalJson, type Json, readJson } from "../json.ts";

export const FORMAT_VERSION = 0;
const MAGIC = new TextEncoder().encode("RAYOSSAV");
const MAC_BYTES = 32;
const END_BYTES = 16;
/** A guest has few files; a longer text is none of ours. */
const MAX_JSON_BYTES = 64 * 1024;
/** So many bytes from a file's end hold every trailer. */
export const MAX_TRAILER_BYTES = MAX_JSON_BYTES + MAC_BYTES + END_BYTES;
/** What the host's key is used for here; another use has another word. */
const PURPOSE = "rayos saved state";

const COUNT = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const TIME = v.pipe(v.number(), v.safeInteger());
const SHA256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

const FILE = v.strictObject({
  name: v.string(),
  path: v.string(),
  access: v.picklist(["ro", "rw"]),
  inode: COUNT,
  size: COUNT,
  modified_ms: TIME,
  changed_ms: TIME,
});

const STATE = v.strictObject({
  vm: v.string(),
  kind: v.string(),
  slot: COUNT,
  uuid: v.string(),
  /** See `generation.ts`. */
  generation: v.string(),
  /** SHA-256 of the launch plan; see `plan_hash.ts`. */
  plan: SHA256,
  /** The versioned machine type. */
  machine: v.string(),
  cpu: v.strictObject({
    /** As `-cpu` has it. */
    model: v.string(),
    /** SHA-256 of what the kernel says of the machine's CPU. */
    host: SHA256,
    /** SHA-256 of every property of the guest's CPU, as QEMU says. */
    guest: SHA256,
  }),
  qemu: v.string(),
  /** Every file of the plan as it was when QEMU had let go of it. */
  files: v.array(FILE),
  stream: v.strictObject({ bytes: COUNT, sha256: SHA256 }),
  /** For a person; nothing is decided by it. */
  saved_at: v.string(),
});

/** What a saved state belongs to. */
export type SavedState = v.InferOutput<typeof STATE>;
export type SavedFile = v.InferOutput<typeof FILE>;

/** The trailer's bytes, to be put behind the stream. */
export function renderTrailer(state: SavedState, key: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(canonicalJson(state as Json));
  const end = new Uint8Array(END_BYTES);
  const view = new DataView(end.buffer);
  view.setUint32(0, json.length);
  view.setUint32(4, FORMAT_VERSION);
  end.set(MAGIC, 8);
  const trailer = new Uint8Array(json.length + MAC_BYTES + END_BYTES);
  trailer.set(json);
  trailer.set(macOf(json, end, key), json.length);
  trailer.set(end, json.length + MAC_BYTES);
  return trailer;
}

/**
 * Reads the trailer at the end of a file.
 *
 * @param tail the file's last {@link MAX_TRAILER_BYTES} bytes, or all of a smaller file
 * @param fileBytes the size of the whole file
 * @returns what it says, or why it says nothing: `vm.saved_incomplete` (no trailer at the end),
 * `vm.saved_version`, `vm.saved_damaged`
 */
export function parseTrailer(
  tail: Uint8Array,
  fileBytes: number,
  key: Uint8Array,
): { ok: true; state: SavedState } | { ok: false; issue: Issue } {
  const no = (rule: string, expected: string, found: string) => ({
    ok: false as const,
    issue: issue(rule, { expected, found, hint: "the guest starts from its disks instead" }),
  });
  const end = tail.subarray(-END_BYTES);
  if (end.length < END_BYTES || MAGIC.some((byte, n) => end[8 + n] !== byte)) {
    return no("vm.saved_incomplete", "a trailer at the end", "none");
  }
  const view = new DataView(end.buffer, end.byteOffset, END_BYTES);
  const version = view.getUint32(4);
  if (version !== FORMAT_VERSION) {
    return no("vm.saved_version", `version ${FORMAT_VERSION}`, `version ${version}`);
  }
  const damaged = (found: string) =>
    no("vm.saved_damaged", "bytes that the host's key vouches for", found);
  const length = view.getUint32(0);
  const start = tail.length - END_BYTES - MAC_BYTES - length;
  if (length > MAX_JSON_BYTES || start < 0) return damaged("another length");
  const json = tail.subarray(start, start + length);
  const mac = tail.subarray(start + length, start + length + MAC_BYTES);
  if (!timingSafeEqual(mac, macOf(json, end, key))) return damaged("other bytes, or another key");
  const state = stateIn(json);
  if (state === null) return damaged("another form");
  const streamBytes = fileBytes - length - MAC_BYTES - END_BYTES;
  if (state.stream.bytes !== streamBytes) return damaged(`a stream of ${streamBytes} bytes`);
  return { ok: true, state };
}

function stateIn(json: Uint8Array): SavedState | null {
  const read = readJson(new TextDecoder().decode(json));
  const parsed = read.ok ? v.safeParse(STATE, read.value) : null;
  return parsed?.success ? parsed.output : null;
}

function macOf(json: Uint8Array, end: Uint8Array, key: Uint8Array): Uint8Array {
  const own = createHmac("sha256", key).update(PURPOSE).digest();
  return Uint8Array.from(createHmac("sha256", own).update(json).update(end).digest());
}
