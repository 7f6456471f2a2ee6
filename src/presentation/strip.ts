/**
 * What stands in the bar above every picture, which only the host draws: who is presented, of which kind,
 * and whether it is given what the user does. A guest's picture never reaches it, so that none can be taken
 * for another one or for the host. Pure.
 */

import type { GuestKind, VmId } from "../id.ts";

/** Who is presented. */
export interface Shown {
  readonly vm: VmId;
  readonly kind: GuestKind;
  /** Whether policy and devices give it input. */
  readonly input: boolean;
}

/** The bar's two texts, beside each other; the second one stands out. */
export interface StripText {
  readonly text: string;
  readonly notice: string;
}

const HOST = "RayOS";
const NO_INPUT = "no input";
/** Characters of the longest name and kind (`id.ts`). */
const LONGEST_NAME = 63;
const LONGEST_KIND = "windows".length;

/** Characters between two words of the bar. */
export const STRIP_GAP = "  ";

/** Characters that the longest bar has: on a narrower screen two guests could look the same. */
export const STRIP_COLUMNS = HOST.length + LONGEST_NAME + LONGEST_KIND + NO_INPUT.length +
  3 * STRIP_GAP.length;

/**
 * The bar's texts.
 *
 * @param shell whether the host's own shell is what is seen below it
 */
export function stripText(shown: Shown | null, shell = false): StripText {
  if (shown === null) {
    const what = shell ? "recovery shell" : "nobody is presented";
    return { text: `${HOST}${STRIP_GAP}${what}`, notice: "" };
  }
  const { vm, kind, input } = shown;
  return { text: [HOST, vm, kind].join(STRIP_GAP), notice: input ? "" : NO_INPUT };
}
