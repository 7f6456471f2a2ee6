/**
 * What the policy in force and the registry say of one guest's network, for whoever gives and takes it,
 * and what is written down when a guest is set up. Each answer is of the moment in which it is asked.
 */

import type { Outcome } from "../control/protocol.ts";
import type { VmId } from "../id.ts";
import type { NetworkRights } from "../network/guest_network.ts";
import type { NetworkGrant } from "../network/lease.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { LiveOp } from "../policy/ops.ts";
import { withRecord } from "../registry/change.ts";
import type { Operation, Runtime } from "../runtime.ts";
import type { Guest } from "../supervisor/guest.ts";
import { noPlan } from "./guest_work.ts";
import { REGISTRY_FILE } from "./registry.ts";
import { currentText } from "./registry_change.ts";

export function networkRights(runtime: Runtime, vm: VmId): NetworkRights {
  return {
    grant: () => grantOf(runtime, vm),
    permit: () => {
      const decision = runtime.decide("policy", { op: "network.enable", vm });
      return decision.allow ? decision.permit : null;
    },
    // The one thing that a guest may ask for; decided and reported like any other request.
    onProvisioned: () => void runtime.handle("agent", "network.end_provisioning", { vm }),
  };
}

function grantOf(runtime: Runtime, vm: VmId): NetworkGrant | null {
  const profile = runtime.profileOf(vm);
  const record = runtime.registry?.guests.get(vm);
  const policy = runtime.inForce?.policy;
  if (profile === undefined || record === undefined || policy === undefined) return null;
  if (!profile.enabled) return null;
  return {
    networking: profile.networking,
    provisioningMinutes: profile.provisioningMinutes,
    provisioned: record.provisionedAt !== null,
    serial: policy.serial,
    resolver: policy.network.resolver,
    allowPrivate: policy.network.allowPrivate,
  };
}

/** The operations about guests' networks, by their names. */
export function networkOperations(runtime: Runtime): [LiveOp, Operation][] {
  const about =
    (act: (guest: Guest, permit: Allowed) => Promise<Outcome>): Operation => (permit) => {
      const guest = permit.vm === null ? undefined : runtime.guests.get(permit.vm);
      return guest === undefined ? noPlan(permit) : act(guest, permit);
    };
  const answer = (guest: Guest, done: boolean): Outcome =>
    done
      ? { ok: true, result: { network: guest.given.network.state } }
      : { ok: false, rule: "network.left", detail: "something of it is left; see `ray logs`" };
  return [
    [
      "network.enable",
      about((guest, permit) => {
        guest.enableNetwork(permit as Allowed<"network.enable">);
        return Promise.resolve(answer(guest, true));
      }),
    ],
    [
      "network.disable",
      about(async (guest, permit) => {
        return answer(guest, await guest.disableNetwork(permit as Allowed<"network.disable">));
      }),
    ],
    [
      "network.end_provisioning",
      about(async (guest, permit) => {
        // Written first: a lease that is taken and not noted could be given again.
        provisioned(runtime, guest.plan.vm);
        const ended = await guest.endProvisioning(permit as Allowed<"network.end_provisioning">);
        return answer(guest, ended);
      }),
    ],
  ];
}

/** Writes down when the guest was set up; the first time stays. */
function provisioned(runtime: Runtime, vm: VmId): void {
  const { host, registry } = runtime;
  const record = registry?.guests.get(vm);
  const text = currentText(runtime);
  if (registry == null || record === undefined || text === null) return;
  if (record.provisionedAt !== null) return;
  const now = { ...record, provisionedAt: host.clock.wall().toISOString() };
  host.replace(REGISTRY_FILE, withRecord(text, now));
  runtime.registry = { version: 0, guests: new Map(registry.guests).set(vm, now) };
}
