/**
 * `deno task seccomp`: records which system calls QEMU makes and holds them against its list: whole
 * lives emulated under strace, then a boot with guests under KVM. Says what the list lacks and what it
 * allows that nothing was seen to call (exit code 1). It changes no list: a person does, with the reason.
 */
import { QEMU_CALLS } from "../src/seccomp/qemu.ts";
import { builtGuest, builtImage } from "./boot_prepare.ts";
import { recordKvm } from "./seccomp_kvm.ts";
import { recordLives } from "./seccomp_lives.ts";
import { compare } from "./seccomp_trace.ts";

if (import.meta.main) {
  const say = (line: string) => console.error(`seccomp: ${line}`);
  const guest = builtGuest(say);
  const image = await builtImage("compiled", say);
  const calls = await recordLives(guest, say);
  const { lacking, unseen } = compare(QEMU_CALLS, calls);
  say("guests under KVM");
  // ioctl is KVM's own and comes by the million; what is allowed of it, its test says.
  const unproven = unseen.filter((name) => name !== "ioctl");
  const logged = await recordKvm(QEMU_CALLS, unproven, image, guest);
  const allowed = QEMU_CALLS.allowed.map((call) => call.name);
  const all = [...lacking, ...logged.filter((name) => !allowed.includes(name))];
  const rare = new Set(QEMU_CALLS.allowed.filter((call) => call.rare).map((call) => call.name));
  const never = unproven.filter((name) => !logged.includes(name) && !rare.has(name));
  console.log(`${calls.length} calls traced, ${allowed.length} names allowed`);
  console.log(`under KVM alone: ${logged.filter((name) => unproven.includes(name)).join(" ")}`);
  console.log(`lacking: ${all.join("; ") || "none"}`);
  console.log(`allowed, never seen: ${never.join(" ") || "none"}`);
  Deno.exit(all.length + never.length === 0 ? 0 : 1);
}
