/**
 * Checks one of the costliest documents in a process of its own and prints how many MiB more it took
 * at its peak than before. Started by a test; never part of the program.
 */
import { checkPolicy } from "../../src/policy/parse.ts";
import { WORST } from "./worst_cases.ts";

function peakMib(): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

const bytes = new TextEncoder().encode(WORST[Deno.args[0] ?? ""]?.() ?? "");
// What is loaded once belongs to the program, not to the document.
checkPolicy(new TextEncoder().encode("version = 0\n[linux]\nenabled = true\nx = 1\n"));
const before = peakMib();
const issues = checkPolicy(bytes);
console.log(JSON.stringify({ mib: peakMib() - before, issues: issues.length }));
