/**
 * The launcher `/usr/lib/rayos/net`, as the program calls it: a slot's way to the network, made or taken
 * away. What it printed decides nothing but whether it says that it is done; whoever asks looks at the
 * kernel afterwards.
 */

import { Fault } from "../fault.ts";
import type { Host } from "../host/port.ts";
import type { Slot } from "../id.ts";

/** Milliseconds. */
const TIMEOUT_MS = 60_000;

/** @returns what went wrong, with the launcher's code for it; null: it says that it is done */
export async function launchNet(
  host: Host,
  verb: "give" | "take",
  slot: Slot,
): Promise<Fault | null> {
  const { code, words } = await host.launch("net", [verb, String(slot)], TIMEOUT_MS);
  if (code === 0 && words[0] === "ok") return null;
  const [, rule = "net.silent", ...detail] = words;
  return networkFault(rule, `net ${verb}: ${detail.join(" ") || "no word"}`, "see the uplink");
}

/** A fault of a guest's network, with what to do or what is done. */
export function networkFault(code: string, why: string, what: string): Fault {
  return new Fault("network", code, `network: ${why}; ${what}`);
}
