/**
 * What makes a saved state usable once. Each guest has a word on the disk, random, that names its
 * present life; a saved state carries the word of its time and is good only while it is still that one.
 * A state is retired by a new word, written through to the disk, and only then does the guest run:
 * whatever becomes of the file afterwards, be it that its removal is lost in a power cut or that someone
 * puts it back, it is never loaded again. A word that is lost makes states unusable, never usable.
 */

import { randomBytes } from "node:crypto";
import type { Host } from "../host/port.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { savedPlaces } from "./places.ts";

const WORD = /^[0-9a-f]{32}$/;
const WORD_BYTES = 16;

/** The guest's present word; null where there is none that can be read. */
export function generationOf(host: Host, plan: LaunchPlan): string | null {
  const path = savedPlaces(plan).generation;
  if (host.lstat(path)?.size !== 2 * WORD_BYTES) return null;
  const word = host.readText(path, 2 * WORD_BYTES) ?? "";
  return WORD.test(word) ? word : null;
}

/**
 * Makes every state saved so far a thing of the past.
 *
 * @returns the new word
 * @throws where the disk did not take it
 */
export function nextGeneration(host: Host, plan: LaunchPlan): string {
  const word = randomBytes(WORD_BYTES).toString("hex");
  host.replace(savedPlaces(plan).generation, word);
  return word;
}

/**
 * Retires the saved state that lies there, for good, before the guest runs: after a load, or before a
 * guest that was found alive goes on. Nothing where there is none.
 *
 * @returns whether there was one
 * @throws where the disk did not take it: then the guest must not run
 */
export function retireSaved(host: Host, plan: LaunchPlan): boolean {
  const { state, folder } = savedPlaces(plan);
  if (host.lstat(state) === null) return false;
  nextGeneration(host, plan);
  host.remove(state);
  host.syncDirectory(folder);
  return true;
}
