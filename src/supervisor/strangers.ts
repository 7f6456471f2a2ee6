/**
 * What runs in slots while no guest of this start of the program is there for it: QEMUs of an earlier start,
 * where safe or recovery mode has read no registry and takes nobody up. The kernel's list of each slot's
 * processes says that they run; whose they are is only what the record of their run says, and is shown only.
 */

import type { Host } from "../host/port.ts";
import { allSlots, type Slot, slotName, type VmId } from "../id.ts";
import { isInhabited } from "./ending.ts";
import { recordedGuest } from "./record.ts";

export interface Stranger {
  /** By what it is named in requests: its slot, since nothing else of it is known. */
  readonly name: VmId;
  readonly slot: Slot;
  /** Whose it is by the record of its run; nothing is decided by it. */
  readonly recorded: VmId | null;
}

/**
 * @param up slots of guests that are there and not at rest
 * @param isKnown whether a guest of this start has that name already
 */
export function strangersIn(
  host: Host,
  up: ReadonlySet<Slot>,
  isKnown: (name: VmId) => boolean,
): Stranger[] {
  const found = allSlots().filter((slot) => !up.has(slot) && isInhabited(host, slot))
    .map((slot) => ({ slot, recorded: recordedGuest(host, slot) }));
  const isTaken = (name: VmId) => isKnown(name) || found.some((one) => one.recorded === name);
  return found.map((one) => ({ name: nameOf(one.slot, isTaken), ...one }));
}

function nameOf(slot: Slot, isTaken: (name: VmId) => boolean): VmId {
  let name = `slot-${slotName(slot)}` as VmId;
  // A person may have called a guest so; a stranger is never taken for it.
  while (isTaken(name)) name = `${name}-` as VmId;
  return name;
}
