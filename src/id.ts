/**
 * Who a guest is, and everything that follows from that alone: the slot's uids and its socket
 * paths. Nothing here looks at the machine.
 */

declare const vmIdBrand: unique symbol;
declare const slotBrand: unique symbol;

/** A checked guest name: `[a-z0-9][a-z0-9-]{0,62}`. */
export type VmId = string & { readonly [vmIdBrand]: true };

/** A checked number 0..63 that a guest keeps for the life of its record. */
export type Slot = number & { readonly [slotBrand]: true };

export type GuestKind = "linux" | "windows";

/** How many slots there are: every uid and socket path of a guest is known before any guest is. */
export const SLOT_COUNT = 64;

const VM_ID = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The text as a guest name, or null where it is none. */
export function vmId(text: unknown): VmId | null {
  return typeof text === "string" && VM_ID.test(text) ? text as VmId : null;
}

/** The number as a slot, or null where it is none. */
export function slot(value: unknown): Slot | null {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < SLOT_COUNT
    ? value as Slot
    : null;
}

/** All slots, in order. */
export function allSlots(): Slot[] {
  return Array.from({ length: SLOT_COUNT }, (_, n) => n as Slot);
}

/** First uid of each kind of process; a process of slot n runs as base + n. */
export const UID_BASE = { qemu: 61000, swtpm: 62000, virtiofsd: 63000, passt: 64000 } as const;

/** The uid (and gid) under which that kind of process runs for that slot. */
export function uidOf(kind: keyof typeof UID_BASE, of: Slot): number {
  return UID_BASE[kind] + of;
}

/** The slot whose process would own a file of that uid, or null where the uid is no guest's. */
export function slotOfUid(uid: number): Slot | null {
  for (const base of Object.values(UID_BASE)) {
    const found = slot(uid - base);
    if (found !== null) return found;
  }
  return null;
}

/** A slot as two digits, as in directory and cgroup names. */
export function slotName(of: Slot): string {
  return String(of).padStart(2, "0");
}

/** The sockets of a guest, as the host and (by bind mount) its jail see them. */
export const SOCKETS = ["qmp", "agent", "console", "state", "vnc"] as const;
export type SocketName = typeof SOCKETS[number];

/** The directory of a slot's sockets. */
function socketDir(of: Slot): string {
  return `/run/rayos/g/${slotName(of)}`;
}

/** Absolute path of one of a slot's sockets on the host. */
export function socketPath(of: Slot, name: SocketName): string {
  return `${socketDir(of)}/${name}.sock`;
}

/** Where a running guest of that kind keeps its files, relative to the data root. */
export function guestFolder(kind: GuestKind, id: VmId): string {
  return `vm/${kind}/${id}`;
}
