import assert from "node:assert/strict";
import { parseFacts, renderFacts } from "./host_facts.ts";

const FACTS = { kvm: true, cpus: 4, memoryMiB: 8192 };

Deno.test("parseFacts reads what renderFacts wrote", () => {
  const text = renderFacts(FACTS);
  assert.equal(text, '{"version":0,"kvm":true,"cpus":4,"memory_mib":8192}\n');
  assert.deepEqual(parseFacts(text), { ok: true, facts: FACTS });
});

Deno.test("parseFacts refuses the file cut at every length, and anything else", () => {
  const text = renderFacts(FACTS).trimEnd();
  for (let length = 0; length < text.length; length++) {
    const found = parseFacts(text.slice(0, length));
    assert(!found.ok && found.issue.rule === "plan.facts", `${length}`);
  }
  for (
    const other of [
      text.replace("0", "1"),
      text.replace("true", '"yes"'),
      text.replace("4", "0"),
      text.replace("4", "1.5"),
      text.replace("8192", "-1"),
      text.replace("}", ',"x":1}'),
      text.replace('"kvm":true', '"kvm":true,"kvm":false'),
      "[]",
      "null",
    ]
  ) assert(!parseFacts(other).ok, other);
});
