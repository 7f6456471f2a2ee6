/**
 * The devices that can be plugged into a running guest, and nothing else: each with the port that its
 * launch plan left free for it, its QEMU properties and what it exposes. QMP's `device_add` takes a row
 * of this table, never a caller's own words. Data alone.
 *
 * Source: QEMU 7.2, docs/pcie.txt; qapi/qdev.json.
 */

/** What is plugged in, and what of it is not the same for every guest. */
export type HotDevice =
  | {
    readonly kind: "network";
    /** Of the guest alone; behind passt no other machine sees it. */
    readonly mac: string;
  }
  | {
    readonly kind: "share";
    /** Which of the guest's shares, from 0. */
    readonly share: number;
    /** What the guest mounts it by. */
    readonly tag: string;
  };
export type HotKind = HotDevice["kind"];
/** Which device it is, without what only its beginning needs. */
export type HotPlace = { readonly kind: "network" } | {
  readonly kind: "share";
  readonly share: number;
};

interface HotRow<Kind extends HotKind> {
  /** Its name in QEMU's tree, below `/machine/peripheral`; of more than one, what its number follows. */
  readonly id: string;
  readonly policyKey: string;
  readonly exposes: string;
  readonly properties: (device: Extract<HotDevice, { kind: Kind }>) => Record<string, unknown>;
}

/** The table. */
export const HOT_DEVICES: { readonly [Kind in HotKind]: HotRow<Kind> } = {
  network: {
    id: "nic0",
    policyKey: "<profile>.networking",
    exposes: "a network card, and behind it what the policy lets this guest reach",
    properties: ({ mac }) => ({
      driver: "virtio-net-pci",
      netdev: NETDEV,
      bus: NETWORK_PORT,
      mac,
      // No code of a network card's: nothing is booted from it.
      romfile: "",
    }),
  },
  share: {
    id: "share",
    policyKey: "<profile>.storage.shares",
    exposes: "a folder of RayOS Data, served by a process of its own",
    properties: ({ share, tag }) => ({
      driver: "vhost-user-fs-pci",
      chardev: shareId(share),
      tag,
      bus: `port-${shareId(share)}`,
    }),
  },
};

/** The port that a launch plan leaves free for it (`plan/device.ts`). */
export const NETWORK_PORT = "port-network";
/** The other end of the network card, inside QEMU. */
export const NETDEV = "n0";

/** The name of a share's device, and of the connection behind it, in QEMU. */
function shareId(share: number): string {
  return `${HOT_DEVICES.share.id}${share}`;
}

/** A device's name in QEMU's tree. */
export function hotId(place: HotPlace): string {
  return place.kind === "share" ? shareId(place.share) : HOT_DEVICES.network.id;
}

/** The arguments of `device_add`. */
export function plugArguments(device: HotDevice): Record<string, unknown> {
  // The table's row for a kind takes that kind's device: the compiler cannot see the pairing.
  const { properties } = HOT_DEVICES[device.kind] as HotRow<HotKind>;
  return { id: hotId(device), ...properties(device) };
}

/** The arguments of `device_del`. */
export function unplugArguments(place: HotPlace): Record<string, unknown> {
  return { id: hotId(place) };
}

/** The arguments of `chardev-add`: the socket of who serves a share, as QEMU's jail shows it. */
export function shareSocketArguments(share: number): Record<string, unknown> {
  const addr = { type: "unix", data: { path: `/v/${share}/fs.sock` } };
  return { id: shareId(share), backend: { type: "socket", data: { addr, server: false } } };
}
