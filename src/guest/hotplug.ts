/**
 * The devices that can be plugged into a running guest, and nothing else: each with the port that its
 * launch plan left free for it, its QEMU properties and what it exposes. QMP's `device_add` takes a row
 * of this table, never a caller's own words. Data alone.
 *
 * Source: QEMU 7.2, docs/pcie.txt; qapi/qdev.json.
 */

/** What is plugged in, and what of it is not the same for every guest. */
export type HotDevice = {
  readonly kind: "network";
  /** Of the guest alone; behind passt no other machine sees it. */
  readonly mac: string;
};
export type HotKind = HotDevice["kind"];

interface HotRow<Kind extends HotKind> {
  /** Its name in QEMU's tree, below `/machine/peripheral`. */
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
};

/** The port that a launch plan leaves free for it (`plan/device.ts`). */
export const NETWORK_PORT = "port-network";
/** The other end of the network card, inside QEMU. */
export const NETDEV = "n0";

/** The arguments of `device_add`. */
export function plugArguments(device: HotDevice): Record<string, unknown> {
  const { id, properties } = HOT_DEVICES[device.kind];
  return { id, ...properties(device) };
}

/** The arguments of `device_del`. */
export function unplugArguments(kind: HotKind): Record<string, unknown> {
  return { id: HOT_DEVICES[kind].id };
}
