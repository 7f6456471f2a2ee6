/**
 * A guest's way to the network, as values for the launcher `/usr/lib/rayos/net`: one `key value` a line.
 * The rules that follow from them are the launcher's own. Pure.
 */

import { createHash } from "node:crypto";
import { type IPv4Range, liesIn, rangeOf } from "../policy/ipv4_range.ts";
import { PASST_FILTER_SHA256 } from "../seccomp/passt.ts";
import type { NetworkDecision, NetworkGrant } from "./lease.ts";

type Given = Exclude<NetworkDecision, { give: "nothing" }>;

/** The text of `/run/rayos/plan/<slot>.net`. */
export function renderWay(grant: NetworkGrant, given: Given): string {
  return [
    "rayos-net 0",
    `lease ${given.give === "lease" ? given.seconds : "endless"}`,
    `resolver ${grant.resolver ?? "uplink"}`,
    `seccomp ${PASST_FILTER_SHA256}`,
    ...wholeNetworks(grant.allowPrivate).map((one) => `allow ${one}`),
    "",
  ].join("\n");
}

/** Whether two of them lead to the same places by the same means, for however long. */
export function leadsAsFar(one: string, other: string): boolean {
  const places = (way: string) => way.split("\n").filter((line) => !line.startsWith("lease "));
  return places(one).join("\n") === places(other).join("\n");
}

/**
 * IPv4 networks as nft takes them: none inside another one, and each written with its first address.
 *
 * @param networks `a.b.c.d/n`, as the policy's schema lets pass
 */
export function wholeNetworks(networks: readonly string[]): string[] {
  const ranges = networks.map(rangeOf).sort((a, b) => a.prefix - b.prefix || a.first - b.first);
  const kept: IPv4Range[] = [];
  for (const one of ranges) {
    if (!kept.some((other) => liesIn(one, other))) kept.push(one);
  }
  return kept.map(({ first, prefix }) => {
    const parts = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256);
    return `${parts.join(".")}/${prefix}`;
  });
}

/**
 * The MAC address of a guest, from the host's key and its uuid: the same at each start, another one on
 * another host. Locally administered, as QEMU's own are (52:54:…).
 */
export function macOf(key: Uint8Array, uuid: string): string {
  const hash = createHash("sha256").update("rayos mac\0").update(key).update(uuid).digest();
  const own = [...hash.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0"));
  return ["52", "54", ...own].join(":");
}
