/**
 * What stands around a guest in tests of its life: nobody gives it anything, nobody hears of it, and nothing
 * keeps it from running. A test puts what it is about in front of these.
 */

import type { GuestSurroundings } from "../src/supervisor/surroundings.ts";

export const QUIET: Omit<GuestSurroundings, "host"> = {
  emit: () => {},
  takeConsole: () => {},
  onCrash: () => {},
  onMove: () => {},
  mayRun: () => true,
  keeping: { key: () => new Uint8Array(32), cpu: () => "", wall: () => null },
  networkOf: () => ({ grant: () => null, permit: () => null, onProvisioned: () => {} }),
  sharesOf: () => ({ gives: () => false, permit: () => null }),
};
