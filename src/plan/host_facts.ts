/**
 * `facts.json`: what a plan needs to know of a machine, written by the boot and read on a desk, so that
 * `vm plan` there gives the very plan that the host would execute. It looks at no machine itself.
 */
import * as z from "zod/mini";
import { readJson } from "../json.ts";
import { type Issue, issue } from "../issue.ts";
import type { HostFacts } from "./launch_plan.ts";

const FACTS = z.strictObject({
  version: z.literal(0),
  kvm: z.boolean(),
  cpus: z.int().check(z.minimum(1), z.maximum(65536)),
  memory_mib: z.int().check(z.minimum(0), z.maximum(2 ** 40)),
});

/** The file's text. */
export function renderFacts(facts: HostFacts): string {
  const { kvm, cpus, memoryMiB } = facts;
  return `${JSON.stringify({ version: 0, kvm, cpus, memory_mib: memoryMiB })}\n`;
}

/** The facts in a file's text, or an issue `plan.facts`. */
export function parseFacts(
  text: string,
): { ok: true; facts: HostFacts } | { ok: false; issue: Issue } {
  const read = readJson(text);
  const parsed = read.ok ? FACTS.safeParse(read.value) : null;
  if (parsed?.success) {
    const { kvm, cpus, memory_mib: memoryMiB } = parsed.data;
    return { ok: true, facts: { kvm, cpus, memoryMiB } };
  }
  const where = parsed?.error?.issues[0]?.path.join(".") ?? "";
  return {
    ok: false,
    issue: issue("plan.facts", {
      path: where,
      line: read.ok ? null : read.fault.line,
      column: read.ok ? null : read.fault.column,
      expected: read.ok ? "the facts of a host, as its boot writes them" : read.fault.expected,
      found: read.ok ? "something else" : read.fault.found,
      hint: "give the file /run/rayos/facts.json of the host",
    }),
  };
}
