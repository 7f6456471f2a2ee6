/**
 * Whether a guest's saved state may be given to QEMU, which itself takes flipped memory, another disk
 * and another CPU without a word. Everything is looked at before QEMU is started: the trailer's seal,
 * every field of it against what there is now, and the hash of the whole stream. It changes nothing.
 */

import { createHash } from "node:crypto";
import { asFault, type Fault } from "../fault.ts";
import type { Host, OpenFile } from "../host/port.ts";
import { type Issue, issue } from "../issue.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { savedPlaces } from "./places.ts";
import { differences, presentOf } from "./present.ts";
import { MAX_TRAILER_BYTES, parseTrailer, type SavedState } from "./trailer.ts";

/** So many bytes are hashed at a time, between which everything else goes on. */
export const READ_CHUNK = 1024 * 1024;

/** A state that was found good. */
export interface GoodState {
  readonly state: SavedState;
  /** The very file that was looked at. */
  readonly inode: number;
}

export type Checked =
  | { readonly kind: "none" }
  | { readonly kind: "good"; readonly saved: GoodState }
  | { readonly kind: "bad"; readonly issues: readonly Issue[] };

/**
 * Looks for a saved state of that guest. Must be asked before the launcher is: a start changes the
 * files that are compared.
 *
 * @param cpu what `hostCpu` gives
 */
export async function checkSaved(
  { host, plan, key, cpu }: { host: Host; plan: LaunchPlan; key: Uint8Array; cpu: string },
): Promise<Checked> {
  const places = savedPlaces(plan);
  let file: OpenFile | null = null;
  try {
    file = host.open(places.state);
    if (file === null) {
      // A suspend that a power cut ended: there is nothing to resume, and a person is told.
      return host.lstat(places.unfinished) === null ? { kind: "none" } : bad(unfinished());
    }
    const start = Math.max(0, file.size - MAX_TRAILER_BYTES);
    const tail = await file.read(start, file.size - start);
    const trailer = parseTrailer(tail, file.size, key);
    if (!trailer.ok) return bad(trailer.issue);
    const { state } = trailer;
    const issues = differences(state, presentOf(host, plan, cpu));
    if (issues.length > 0) return { kind: "bad", issues };
    const found = await hashOf(file, state.stream.bytes);
    if (found !== state.stream.sha256) return bad(otherStream(state.stream.sha256, found));
    return { kind: "good", saved: { state, inode: file.inode } };
  } catch (error) {
    return bad(unreadable(asFault(error, "guest", "saved.unreadable")));
  } finally {
    file?.close();
  }
}

/** The finding that a stream is not the one that was saved. */
export function otherStream(expected: string, found: string): Issue {
  return issue("vm.saved_damaged", {
    path: "stream.sha256",
    expected,
    found,
    hint: "check the disk; the guest starts from its disks instead",
  });
}

function bad(one: Issue): Checked {
  return { kind: "bad", issues: [one] };
}

function unfinished(): Issue {
  return issue("vm.saved_incomplete", {
    expected: "a whole saved state",
    found: "one that was being written when the power went",
    hint: "it is removed; the guest starts from its disks",
  });
}

function unreadable(fault: Fault): Issue {
  return issue("vm.saved_unreadable", {
    path: fault.code,
    expected: "a saved state that can be read",
    found: fault.message,
    hint: "check the disk; the guest starts from its disks instead",
  });
}

async function hashOf(file: OpenFile, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes;) {
    const piece = await file.read(at, Math.min(READ_CHUNK, bytes - at));
    if (piece.length === 0) break;
    hash.update(piece);
    at += piece.length;
  }
  return hash.digest("hex");
}
