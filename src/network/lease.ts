/**
 * Whether a guest is given a network now, and for how long. Pure: what the policy gives, what is written
 * down of an earlier lease, and nothing a guest has said but that it is set up, which can only take.
 *
 * | networking | provisioned | a lease was spent | given |
 * | --- | --- | --- | --- |
 * | `off` | | | nothing |
 * | `on` | | | a network without an end |
 * | `provisioning_only` | yes | | nothing |
 * | `provisioning_only` | no | under this serial or a higher one | nothing |
 * | `provisioning_only` | no | never, or under a lower serial | `provisioning_minutes`, once |
 *
 * A policy without a serial cannot be told from an older one, so under it there is one lease for ever. What
 * cannot be read counts as spent.
 */

import * as v from "valibot";
import type { Networking } from "../policy/policy.ts";

/** What the policy and the registry give one guest. */
export interface NetworkGrant {
  readonly networking: Networking;
  readonly provisioningMinutes: number;
  readonly provisioned: boolean;
  /** The policy's. */
  readonly serial: number | null;
  /** Null: the uplink's. */
  readonly resolver: string | null;
  readonly allowPrivate: readonly string[];
}

/** A lease that was given, as it lies on the disk. */
export interface SpentLease {
  readonly uuid: string;
  readonly serial: number | null;
}

export type NetworkDecision =
  | { readonly give: "nothing" }
  | { readonly give: "network" }
  | { readonly give: "lease"; readonly seconds: number };

const NOTHING: NetworkDecision = { give: "nothing" };

/**
 * The decision.
 *
 * @param spent what is written down for the guest; `unreadable` counts as this lease
 */
export function networkDecision(
  grant: NetworkGrant | null,
  uuid: string,
  spent: SpentLease | "unreadable" | null,
): NetworkDecision {
  if (grant === null || grant.networking === "off") return NOTHING;
  if (grant.networking === "on") return { give: "network" };
  if (grant.provisioned || isSpent(grant.serial, uuid, spent)) return NOTHING;
  return { give: "lease", seconds: grant.provisioningMinutes * 60 };
}

function isSpent(serial: number | null, uuid: string, spent: SpentLease | "unreadable" | null) {
  if (spent === null) return false;
  // Another guest that had this one's name and folder.
  if (spent !== "unreadable" && spent.uuid !== uuid) return false;
  return spent === "unreadable" || serial === null || serial <= (spent.serial ?? 0);
}

const SPENT = v.strictObject({
  version: v.literal(0),
  uuid: v.string(),
  serial: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1))),
});

/** The file's text. */
export function renderSpent({ uuid, serial }: SpentLease): string {
  return `${JSON.stringify({ version: 0, uuid, serial })}\n`;
}

/** What a file says; null where there is none. */
export function parseSpent(text: string | null): SpentLease | "unreadable" | null {
  if (text === null) return null;
  try {
    const parsed = v.safeParse(SPENT, JSON.parse(text));
    if (!parsed.success) return "unreadable";
    const { uuid, serial } = parsed.output;
    return { uuid, serial };
  } catch {
    return "unreadable";
  }
}
