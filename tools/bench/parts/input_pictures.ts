/**
 * What a guest's picture costs the host: the test guest with a screen in an emulated QEMU, changing all of
 * its screen or a mark as small as a cursor as fast as it can, and the host's screen beside it as a process
 * of its own.
 */
import { Home, imageOf } from "../../../test/boot/machine.ts";
import { SCREEN_GUEST_MIB, screenGuest } from "../../../test/boot/screen_guest.ts";
import { joinOverlay } from "../../boot_overlay.ts";
import type { ScreenCost } from "./input_screen.ts";

/** The screens of guest and host, in pixels. */
export const PICTURE = { width: 1024, height: 768 } as const;

/** What changes: `all` of the screen, or a row of a cursor's width. */
export type Change = "all" | "cursor";

const SCRIPT = `#!/bin/busybox sh
bb=/bin/busybox
IFS=, read -r width height < /sys/class/graphics/fb0/virtual_size
echo 0 > /sys/class/vtconsole/vtcon1/bind
bytes=$((width * height * 4))
$bb yes 'z0!' | $bb head -c $bytes > /run/one
$bb yes '!0z' | $bb head -c $bytes > /run/other
read -r line < /proc/cmdline
case $line in
  *bench=cursor*)
    $bb head -c 64 /run/one > /run/mark
    $bb head -c 64 /run/other > /run/gone
    while :; do
      for mark in mark gone; do
        $bb dd if=/run/$mark of=/dev/fb0 bs=64 seek=$((width * 4 / 64 * 100 + 4)) conv=notrunc 2> /dev/null
        $bb usleep 10000
      done
    done
    ;;
  *)
    while :; do
      $bb cat /run/one > /dev/fb0
      $bb cat /run/other > /dev/fb0
    done
    ;;
esac
`;

/** Measures it for that many seconds. */
export async function pictureCost(change: Change, seconds: number): Promise<ScreenCost> {
  await using home = await Home.make();
  const image = await imageOf("compiled");
  const { kernel, initrd } = await screenGuest(home, image);
  const own = await joinOverlay(initrd, { "/usr/bin/paint": SCRIPT }, `${home.path}/bench.img`);
  const socket = `${home.path}/vnc.sock`;
  const { width, height } = PICTURE;
  const qemu = new Deno.Command("qemu-system-x86_64", {
    args: [
      ...["-nodefaults", "-no-user-config", "-machine", "q35", "-accel", "tcg", "-cpu", "max"],
      ...["-m", String(SCREEN_GUEST_MIB), "-kernel", kernel, "-initrd", own],
      ...["-append", `console=hvc0 quiet panic=-1 bench=${change}`, "-no-reboot"],
      ...["-vga", "none", "-display", `vnc=unix:${socket}`],
      ...["-device", `virtio-gpu-pci,xres=${width},yres=${height}`],
      ...["-device", "virtio-serial-pci", "-chardev", `file,id=console,path=${home.path}/console`],
      ...["-device", "virtconsole,chardev=console"],
    ],
    stdin: "null",
    stdout: "null",
  }).spawn();
  try {
    while (!await exists(socket)) await new Promise((resolve) => setTimeout(resolve, 50));
    const screen = `${import.meta.dirname ?? "."}/input_screen.ts`;
    const words = [socket, `${home.path}/frame`, width, height, seconds].map(String);
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", screen, ...words],
      stderr: "inherit",
    }).output();
    if (success) return JSON.parse(new TextDecoder().decode(stdout));
    const console = await Deno.readTextFile(`${home.path}/console`).catch(() => "");
    throw new Error(`no picture was measured; the guest said:\n${console.slice(-2000)}`);
  } finally {
    qemu.kill("SIGKILL");
    await qemu.status;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
