/**
 * `tools/rayos deno task seccomp [PROGRAM…]`: records which system calls the programs of the jails make and holds them
 * against their lists. QEMU: whole lives emulated under strace, then a boot with guests under KVM. swtpm,
 * passt, qemu-img, udhcpc: under strace on this machine alone, in the image's own roots and by their
 * launchers' own lines. Says what a list lacks and what it allows that nothing was seen to call (exit
 * code 1). It changes no list: a person does, with the reason.
 */
import { DHCP_CALLS } from "../src/seccomp/dhcp.ts";
import { DISK_CALLS } from "../src/seccomp/disk.ts";
import type { CallList } from "../src/seccomp/filter.ts";
import { PASST_CALLS } from "../src/seccomp/passt.ts";
import { QEMU_CALLS } from "../src/seccomp/qemu.ts";
import { SWTPM_CALLS } from "../src/seccomp/swtpm.ts";
import { builtGuest, builtImage } from "./boot_prepare.ts";
import { recordDhcp } from "./seccomp_dhcp.ts";
import { recordDisk } from "./seccomp_disk.ts";
import { writeJailRoots } from "./seccomp_jail.ts";
import { recordKvm } from "./seccomp_kvm.ts";
import { recordLives } from "./seccomp_lives.ts";
import { compare, FREQUENT, type TracedCall } from "./seccomp_trace.ts";

const PROGRAMS = ["qemu", "swtpm", "passt", "qemu-img", "udhcpc"] as const;
type Program = typeof PROGRAMS[number];

/** Says what a recording finds; true where the list is neither short nor too long. */
function judged(
  program: Program,
  list: CallList,
  calls: readonly TracedCall[],
  lacking: readonly string[],
  unseen: readonly string[],
): boolean {
  const rare = new Set(list.allowed.filter((call) => call.rare).map((call) => call.name));
  const never = unseen.filter((name) => !rare.has(name));
  console.log(`${program}: ${calls.length} calls traced, ${list.allowed.length} names allowed`);
  console.log(`  lacking: ${lacking.join("; ") || "none"}`);
  console.log(`  allowed, never seen: ${never.join(" ") || "none"}`);
  const seen = [...rare].filter((name) => !unseen.includes(name));
  console.log(`  allowed as rare, seen: ${seen.join(" ") || "none"}`);
  return lacking.length + never.length === 0;
}

/** One that is recorded on this machine alone. */
function judgedHere(program: Program, list: CallList, calls: readonly TracedCall[]): boolean {
  const { lacking, unseen } = compare(list, calls);
  return judged(program, list, calls, lacking, unseen);
}

async function judgedQemu(
  calls: readonly TracedCall[],
  say: (line: string) => void,
): Promise<boolean> {
  const { lacking, unseen } = compare(QEMU_CALLS, calls, FREQUENT);
  say("guests under KVM");
  // ioctl is KVM's own and comes by the million; what is allowed of it, its test says.
  const unproven = unseen.filter((name) => name !== "ioctl");
  const image = await builtImage("compiled", say);
  const logged = await recordKvm(QEMU_CALLS, unproven, image, builtGuest(say));
  console.log(`under KVM alone: ${logged.filter((name) => unproven.includes(name)).join(" ")}`);
  const allowed = QEMU_CALLS.allowed.map((call) => call.name);
  const all = [...lacking, ...logged.filter((name) => !allowed.includes(name))];
  return judged("qemu", QEMU_CALLS, calls, all, unproven.filter((name) => !logged.includes(name)));
}

async function record(wanted: ReadonlySet<Program>, roots: string): Promise<boolean> {
  const say = (line: string) => console.error(`seccomp: ${line}`);
  writeJailRoots(roots, say);
  const right: boolean[] = [];
  if (wanted.has("qemu-img")) {
    right.push(judgedHere("qemu-img", DISK_CALLS, await recordDisk(roots, say)));
  }
  if (wanted.has("udhcpc")) {
    right.push(judgedHere("udhcpc", DHCP_CALLS, await recordDhcp(roots, say)));
  }
  if (wanted.has("qemu") || wanted.has("swtpm") || wanted.has("passt")) {
    const lives = await recordLives(builtGuest(say), roots, !wanted.has("qemu"), say);
    if (wanted.has("swtpm")) right.push(judgedHere("swtpm", SWTPM_CALLS, lives.swtpm));
    if (wanted.has("passt")) right.push(judgedHere("passt", PASST_CALLS, lives.passt));
    if (wanted.has("qemu")) right.push(await judgedQemu(lives.qemu, say));
  }
  return right.every((one) => one);
}

if (import.meta.main) {
  const named = Deno.args.filter((one): one is Program => PROGRAMS.some((name) => name === one));
  if (named.length < Deno.args.length) {
    console.error(`seccomp: name any of ${PROGRAMS.join(", ")}`);
    Deno.exit(2);
  }
  const roots = await Deno.makeTempDir({ prefix: "rayos-roots-" });
  await Deno.chmod(roots, 0o755);
  try {
    Deno.exitCode = await record(new Set(named.length === 0 ? PROGRAMS : named), roots) ? 0 : 1;
  } finally {
    await Deno.remove(roots, { recursive: true });
  }
}
