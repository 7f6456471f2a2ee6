/**
 * What the policy in force says of one guest's shares, for whoever gives and takes them, and the
 * operations about them. Each answer is of the moment in which it is asked.
 */

import type { Outcome } from "../control/protocol.ts";
import { slot, type VmId } from "../id.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { LiveOp } from "../policy/ops.ts";
import { fillPath } from "../policy/policy.ts";
import { noPlan } from "./guest_work.ts";
import type { Operation, Runtime } from "../runtime.ts";
import type { ShareRights } from "../share/around.ts";
import { launchShare } from "../share/launcher.ts";
import { sharesThere } from "../share/virtiofsd.ts";
import type { Guest } from "../supervisor/guest.ts";

export function shareRights(runtime: Runtime, vm: VmId): ShareRights {
  return {
    gives: (share) => {
      const profile = runtime.profileOf(vm);
      const now = profile?.enabled === true
        ? profile.storage.shares.find((one) => one.tag === share.tag)
        : undefined;
      if (now === undefined || now.readOnly !== share.readOnly) return false;
      const filled = fillPath(now.path, vm);
      return filled.ok && filled.path === share.path;
    },
    permit: (tag) => {
      const request = { op: "share.attach", vm, share: tag } as const;
      const decision = runtime.decide("policy", request);
      return decision.allow ? decision.permit : null;
    },
  };
}

/** The operations about guests' shares, by their names. */
export function shareOperations(runtime: Runtime): [LiveOp, Operation][] {
  const about = (
    act: (guest: Guest, permit: Allowed) => Promise<boolean>,
    left: string,
  ): Operation =>
  async (permit): Promise<Outcome> => {
    const guest = permit.vm === null ? undefined : runtime.guests.get(permit.vm);
    if (guest === undefined) return noPlan(permit);
    if (!guest.plan.shares.some((one) => one.tag === permit.share)) {
      const detail = `${permit.vm} was started without a share of that tag`;
      return { ok: false, rule: "share.unknown", detail };
    }
    if (await act(guest, permit)) {
      return { ok: true, result: { shares: guest.given.shares.tags } };
    }
    return { ok: false, rule: left, detail: "see `ray logs`" };
  };
  return [
    [
      "share.attach",
      about(
        (guest, permit) => guest.given.shares.attach(permit as Allowed<"share.attach">),
        "share.not_given",
      ),
    ],
    [
      "share.detach",
      about(
        (guest, permit) => guest.given.shares.detach(permit as Allowed<"share.detach">),
        "share.left",
      ),
    ],
  ];
}

/** Takes away what is left of shares in slots where nobody runs, and says of which it could not. */
export async function takeLeftShares(
  { host, emit }: Pick<Runtime, "host" | "emit">,
): Promise<void> {
  for (const [number, share] of sharesThere(host)) {
    const of = slot(number);
    if (of === null || host.processesOf(of).length > 0) continue;
    const failed = await launchShare(host, "take", of, share);
    if (failed === null) continue;
    const { stage, code, message } = failed;
    emit({ type: "fault", stage, code, message: `slot ${of}: ${message}` });
  }
}
