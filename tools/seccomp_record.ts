/**
 * `deno task seccomp`: records which system calls QEMU makes and holds them against its list. Says what
 * the list lacks (exit code 1) and what it allows that nothing was seen to call. It changes no list: a
 * person does, with the reason.
 */
import { compare } from "./seccomp_trace.ts";
import { QEMU_CALLS } from "../src/seccomp/qemu.ts";
import { builtGuest } from "./boot_prepare.ts";
import { recordLives } from "./seccomp_lives.ts";

if (import.meta.main) {
  const say = (line: string) => console.error(`seccomp: ${line}`);
  const calls = await recordLives(builtGuest(say), say);
  const { lacking, unseen } = compare(QEMU_CALLS, calls);
  console.log(`${calls.length} calls, ${QEMU_CALLS.allowed.length} names allowed`);
  console.log(`lacking: ${lacking.join("; ") || "none"}`);
  console.log(`allowed, not seen: ${unseen.join(" ") || "none"}`);
  Deno.exit(lacking.length === 0 ? 0 : 1);
}
