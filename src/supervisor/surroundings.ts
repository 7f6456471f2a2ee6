/**
 * What a guest needs from whoever holds it: the host's port, where its events and its console go, and
 * what is decided elsewhere. A type alone.
 */

import type { Emit, GuestState } from "../event.ts";
import type { Connection, Host } from "../host/port.ts";
import type { VmId } from "../id.ts";
import type { NetworkRights } from "../network/guest_network.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import type { ShareRights } from "../share/around.ts";
import type { Keeping } from "./keeping.ts";

/** What a guest needs from whoever holds it. */
export interface GuestSurroundings {
  readonly host: Host;
  readonly emit: Emit;
  /** Takes the guest's console stream until it ends. */
  readonly takeConsole: (plan: LaunchPlan, connection: Connection) => void;
  /** Told when its QEMU ended without a shutdown, once the state says so. */
  readonly onCrash: (vm: VmId) => void;
  /** Told of each change of a guest's state: one that runs no more is shown no more. */
  readonly onMove: (vm: VmId, from: GuestState, to: GuestState) => void;
  /** Whether the host is in the mode in which guests run: asked again before one runs an instruction. */
  readonly mayRun: () => boolean;
  readonly keeping: Keeping;
  readonly networkOf: (vm: VmId) => NetworkRights;
  readonly sharesOf: (vm: VmId) => ShareRights;
}
