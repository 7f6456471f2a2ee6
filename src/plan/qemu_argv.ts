/**
 * The values of a launch plan become QEMU's argv. Devices and block nodes are JSON; whatever stands in
 * a comma list is a constant or a number, so that no text of a document can add to one. The launcher
 * puts `-no-user-config -nodefaults -S -sandbox …` in front by itself. Pure.
 *
 * Source: qemu-system-x86_64(1), QEMU 7.2.
 */

import { deviceOptions, type Option, SCREEN_OUTPUT } from "./device.ts";
import type { LaunchPlan } from "./launch_plan.ts";

/** `q35` alone is an alias that changes with QEMU; saved state needs the version. */
export const MACHINE = "pc-q35-7.2";

/** TCG keeps translated code beside the guest's memory (`tb-size`). */
export const TCG_CACHE_MIB = 64;

/**
 * A guest gets no hypervisor of its own. Five-level paging is off in emulation: without SVM, QEMU 7.2's
 * TCG then never lets a guest's first program run. Windows is told by Hyper-V's words that its CPUs may
 * be late and how to read a clock without an exit (QEMU's docs/system/i386/hyperv.rst); KVM alone has them.
 */
function cpuOf({ kind, emulated }: Pick<LaunchPlan, "kind" | "emulated">): string {
  if (emulated) return "max,svm=off,vmx=off,la57=off";
  const hyperV = kind === "windows" ? ",hv_relaxed,hv_vapic,hv_spinlocks=0x1fff,hv_time" : "";
  return `host,svm=off,vmx=off${hyperV}`;
}

/** QEMU's arguments, each option followed by its value. */
export function qemuArgv(plan: Omit<LaunchPlan, "argv">): string[] {
  const hasScreen = plan.devices.some((one) => one.device === "gpu");
  const options: Option[] = [
    ["-name", plan.vm],
    ["-uuid", plan.uuid],
    ["-machine", `${MACHINE},usb=off,vmport=off,dump-guest-core=off,mem-merge=off`],
    ["-accel", plan.emulated ? `tcg,tb-size=${TCG_CACHE_MIB}` : "kvm"],
    ["-cpu", cpuOf(plan)],
    ["-smp", String(plan.vcpus)],
    ["-m", `${plan.memoryMiB}M`],
    // Who is given a screen is shown it through the host, which alone reaches the folder of the socket.
    ["-display", hasScreen ? SCREEN_OUTPUT : "none"],
    ["-vga", "none"],
    ["-rtc", plan.kind === "windows" ? "base=localtime" : "base=utc"],
    ["-chardev", "socket,id=qmp,path=/s/qmp.sock,server=on,wait=off"],
    ["-mon", "chardev=qmp,mode=control"],
    ...plan.devices.flatMap(deviceOptions),
  ];
  if (plan.kernelCmdline !== null) {
    options.push(["-kernel", "/g/kernel"]);
    if (plan.files.some((file) => file.name === "initrd")) options.push(["-initrd", "/g/initrd"]);
    options.push(["-append", plan.kernelCmdline]);
  }
  return options.flat();
}
