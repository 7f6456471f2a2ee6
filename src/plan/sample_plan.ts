/**
 * A launch plan for tests: one Linux guest with a disk and a kernel under KVM. Never part of the
 * program.
 */

import type { DataPath } from "../data_path.ts";
import type { Slot, VmId } from "../id.ts";
import type { LaunchPlan } from "./launch_plan.ts";
import { QEMU_FILTER_SHA256 } from "../seccomp/qemu.ts";
import { qemuArgv } from "./qemu_argv.ts";

/** The plan, with what a test wants to be different. */
export function samplePlan(changes: Partial<Omit<LaunchPlan, "argv">> = {}): LaunchPlan {
  const values: Omit<LaunchPlan, "argv"> = {
    vm: "demo" as VmId,
    kind: "linux",
    slot: 0 as Slot,
    uuid: "5d0a3c6e-0000-4000-8000-000000000001",
    uid: 61000,
    emulated: false,
    vcpus: 1,
    memoryMiB: 256,
    kernelCmdline: "console=hvc0",
    files: [
      { access: "rw", path: "vm/linux/demo/rootfs.ext4" as DataPath, name: "disk0" },
      { access: "ro", path: "vm/linux/demo/vmlinuz" as DataPath, name: "kernel" },
    ],
    devices: [
      { device: "serial-bus" },
      { device: "console" },
      { device: "agent" },
      { device: "disk", file: "disk0", format: "raw" },
    ],
    limits: {
      cpuMaxUs: 125_000,
      memoryMaxBytes: 448 * 1024 * 1024,
      pidsMax: 64,
      ioMaxBytesS: null,
      consoleKibS: 64,
    },
    seccomp: QEMU_FILTER_SHA256,
    tpm: null,
    shares: [],
    ...changes,
  };
  return { ...values, argv: qemuArgv(values) };
}
