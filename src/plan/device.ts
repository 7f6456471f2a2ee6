/**
 * The allow-list of what a guest can be given: each device's name in the log, its QEMU arguments, the
 * policy key it comes from and what it exposes. The argv builder knows no other way to make a device.
 * It never looks at the machine.
 */

/** A QEMU option and its value, as two elements of argv. */
export type Option = readonly [name: string, value: string];

/** What a row needs to know of the guest. */
export type DeviceRequest =
  | { readonly device: "serial-bus" }
  | { readonly device: "console" }
  | { readonly device: "agent" }
  | { readonly device: "network-port" }
  | { readonly device: "shared-memory"; readonly memoryMiB: number }
  | {
    readonly device: "share-port";
    /** Which of the guest's shares, from 0. */
    readonly share: number;
  }
  | {
    readonly device: "disk";
    /** The file's name in the jail, e.g. `disk0`. */
    readonly file: string;
    readonly format: "raw" | "qcow2";
    /** Its port of q35's own AHCI controller, from 0; left out: a virtio disk. */
    readonly ahciPort?: number;
  }
  | { readonly device: "firmware"; readonly secureBoot: boolean }
  | { readonly device: "vtpm" }
  | {
    readonly device: "gpu";
    /** `vga`: what firmware and an installer can draw on without a driver. */
    readonly model: "virtio" | "vga";
  }
  | { readonly device: "input" };

/** The UEFI code in the root of QEMU's jail, which QEMU keeps open. */
export function firmwareCode(secureBoot: boolean): string {
  return `/usr/share/OVMF/OVMF_CODE_4M${secureBoot ? ".secboot" : ""}.fd`;
}
/** The name in the jail of the file with the guest's UEFI variables. */
export const NVRAM = "nvram";
/** The one file in which swtpm keeps a TPM 2.0 (swtpm(8)). */
export const TPM_STATE = "tpm2-00.permall";

/** QEMU's VNC server, for one client, on a socket of the guest's own; the launcher knows no other. */
export const SCREEN_OUTPUT = "vnc=unix:/s/vnc.sock";

/** What a guest can make QEMU keep of its screen: four times 2560 by 1600. */
export const SCREEN_MEMORY_MIB = 64;

export type DeviceName = DeviceRequest["device"];

interface DeviceRow<Name extends DeviceName> {
  /** The key of the policy that gives it; null where every guest has it. */
  readonly policyKey: string | null;
  readonly exposes: string;
  readonly options: (request: Extract<DeviceRequest, { device: Name }>) => Option[];
}

const json = (value: Record<string, unknown>): string => JSON.stringify(value);

/** The launcher knows these two and no other. */
const SECURE_FLASH: readonly Option[] = [
  ["-global", "driver=cfi.pflash01,property=secure,value=on"],
  ["-global", "ICH9-LPC.disable_s3=1"],
];

const flash = (name: string, filename: string, readOnly: boolean): string =>
  json({
    driver: "raw",
    "node-name": name,
    "read-only": readOnly,
    file: { driver: "file", filename, locking: "on", aio: "threads" },
  });

/** The table. A device that has no row here cannot be made. */
export const DEVICES: { readonly [Name in DeviceName]: DeviceRow<Name> } = {
  "serial-bus": {
    policyKey: null,
    exposes: "the bus that carries the console and the agent's port",
    options: () => [["-device", json({ driver: "virtio-serial-pci", id: "serial0" })]],
  },
  console: {
    policyKey: null,
    exposes: "a text console, written to the guest's own log",
    options: () => [
      ["-chardev", "socket,id=console,path=/s/console.sock,server=on,wait=off"],
      ["-device", json({ driver: "virtconsole", chardev: "console", bus: "serial0.0" })],
    ],
  },
  agent: {
    policyKey: "security.guest_agent",
    exposes: "a serial port on which the host asks the guest's agent whether it is up",
    options: () => [
      ["-chardev", "socket,id=agent,path=/s/agent.sock,server=on,wait=off"],
      [
        "-device",
        json({
          driver: "virtserialport",
          chardev: "agent",
          bus: "serial0.0",
          name: "org.qemu.guest_agent.0",
        }),
      ],
    ],
  },
  "network-port": {
    policyKey: "<profile>.networking",
    exposes: "an empty slot, into which a network card is plugged while the policy gives one",
    options: () => [[
      "-device",
      json({
        driver: "pcie-root-port",
        // `NETWORK_PORT` of guest/hotplug.ts.
        id: "port-network",
        bus: "pcie.0",
        chassis: 1,
        slot: 1,
        // Beyond those that QEMU gives to disks by itself.
        addr: "0x10",
      }),
    ]],
  },
  "shared-memory": {
    policyKey: "<profile>.storage.shares",
    exposes: "the guest's memory, to the process that serves a shared folder while there is one",
    options: ({ memoryMiB }) => [
      [
        "-object",
        json({
          "qom-type": "memory-backend-memfd",
          id: "ram",
          size: memoryMiB * 1024 * 1024,
          share: true,
        }),
      ],
      ["-machine", "memory-backend=ram"],
    ],
  },
  "share-port": {
    policyKey: "<profile>.storage.shares",
    exposes: "an empty slot, into which a shared folder is plugged while the policy gives one",
    options: ({ share }) => [[
      "-device",
      json({
        driver: "pcie-root-port",
        // What the row `share` of guest/hotplug.ts is plugged into.
        id: `port-share${share}`,
        bus: "pcie.0",
        chassis: 1,
        slot: 2 + share,
        // Eight functions of a device each, behind the network's.
        addr: `0x${(17 + Math.floor(share / 8)).toString(16)}.${share % 8}`,
        multifunction: true,
      }),
    ]],
  },
  disk: {
    policyKey: "<profile>.storage",
    exposes: "one file of RayOS Data as a block device",
    options: ({ file, format, ahciPort }) => [
      [
        "-blockdev",
        json({
          driver: format,
          "node-name": file,
          "read-only": false,
          discard: "unmap",
          file: {
            driver: "file",
            filename: `/g/${file}`,
            locking: "on",
            aio: "threads",
            discard: "unmap",
          },
          // A backing file or data file of a qcow2 is never opened, whatever its header says.
          ...(format === "qcow2" ? { backing: null } : {}),
        }),
      ],
      [
        "-device",
        json({
          ...(ahciPort === undefined
            ? { driver: "virtio-blk-pci" }
            : { driver: "ide-hd", bus: `ide.${ahciPort}` }),
          id: `${file}-device`,
          drive: file,
        }),
      ],
    ],
  },
  firmware: {
    policyKey: "windows.storage.ovmf_vars",
    exposes: "UEFI, and a file of RayOS Data with its variables",
    options: ({ secureBoot }) => [
      ["-blockdev", flash("firmware", firmwareCode(secureBoot), true)],
      ["-blockdev", flash(NVRAM, `/g/${NVRAM}`, false)],
      ["-machine", `pflash0=firmware,pflash1=${NVRAM}${secureBoot ? ",smm=on" : ""}`],
      // Only the firmware itself, in its own mode (SMM), writes variables; a sleep would leave that mode
      // with what the guest has put there (EDK2, OvmfPkg/README, "SMM support").
      ...(secureBoot ? SECURE_FLASH : []),
    ],
  },
  vtpm: {
    policyKey: "<profile>.devices.vtpm",
    exposes: "a TPM 2.0 of its own, which a process beside QEMU is",
    options: () => [
      ["-chardev", "socket,id=tpm,path=/t/tpm.sock"],
      ["-tpmdev", "emulator,id=tpm0,chardev=tpm"],
      ["-device", json({ driver: "tpm-crb", tpmdev: "tpm0" })],
    ],
  },
  gpu: {
    policyKey: "<profile>.devices.gpu",
    exposes: "a screen, in two dimensions, of a size that the guest chooses",
    options: ({ model }) => [[
      "-device",
      json(
        model === "vga" ? { driver: "VGA", id: "screen", vgamem_mb: 16 } : {
          driver: "virtio-gpu-pci",
          id: "screen",
          max_hostmem: SCREEN_MEMORY_MIB * 1024 * 1024,
        },
      ),
    ]],
  },
  input: {
    policyKey: "<profile>.devices.input",
    exposes: "a keyboard and a pointer, which say something only while the guest is presented",
    options: () => [
      ["-device", json({ driver: "virtio-keyboard-pci", id: "keyboard" })],
      ["-device", json({ driver: "virtio-tablet-pci", id: "pointer" })],
    ],
  },
};

/** The QEMU options of one device. */
export function deviceOptions(request: DeviceRequest): Option[] {
  // The table's row for a name takes that name's request: the compiler cannot see the pairing.
  const row = DEVICES[request.device] as DeviceRow<DeviceName>;
  return row.options(request as never);
}
