import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type LastKnown,
  MAX_LAST_KNOWN_BYTES,
  oomKills,
  readLastKnown,
  renderLastKnown,
} from "./last_known.ts";

const BOOT = "11111111-2222-3333-4444-555555555555";
const KNOWN: LastKnown = {
  version: 0,
  boot_id: BOOT,
  phase: "serving",
  program: { version: "0.1.0", build_id: "b", form: "compiled", runtime: "official", start: 2 },
  kernel: "6.1.0-1-amd64",
  mode: "normal",
  policy: "0".repeat(64),
  guests: [{ vm: "demo", state: "running" }],
  oom_kills: null,
};
const read = (document: unknown) => readLastKnown(JSON.stringify(document), BOOT);

Deno.test("readLastKnown reads what renderLastKnown wrote of that boot, and nothing cut or another boot's", () => {
  const text = renderLastKnown(KNOWN);
  assert.deepEqual(readLastKnown(text, BOOT), KNOWN);
  assert.equal(readLastKnown(text, BOOT.replace("1", "2")), null);
  assert.equal(readLastKnown(null, BOOT), null);
  for (let end = 0; end < text.length - 1; end++) {
    assert.equal(readLastKnown(text.slice(0, end), BOOT), null);
  }
  fc.assert(fc.property(fc.jsonValue(), (any) => read(any) === null));
});

Deno.test("readLastKnown takes nothing that a terminal obeys, is no name, or is more than there can be", () => {
  const guest = KNOWN.guests[0];
  const bad: Record<string, unknown>[] = [
    { more: 1 },
    { phase: "serving\nRAYOS_READY" },
    { phase: "x".repeat(21) },
    { kernel: "6.1\u001b[2J" },
    { kernel: "6.1\u202e" },
    { kernel: "x".repeat(201) },
    { mode: "developer" },
    { policy: "RAYOS_POLICY_OK" },
    { policy: "A".repeat(64) },
    { oom_kills: -1 },
    { oom_kills: 1e300 },
    { program: { ...KNOWN.program, start: 1.5 } },
    { program: { ...KNOWN.program, version: "" } },
    { guests: [{ vm: "../x", state: "running" }] },
    { guests: [{ vm: "demo", state: "lost" }] },
    { guests: Array.from({ length: 65 }, () => guest) },
    { guests: { length: 1, 0: guest } },
  ];
  for (const change of bad) {
    assert.equal(read({ ...KNOWN, ...change }), null, JSON.stringify(change));
  }
  assert.equal(
    readLastKnown(renderLastKnown(KNOWN) + " ".repeat(MAX_LAST_KNOWN_BYTES), BOOT),
    null,
  );
  assert.deepEqual(
    read(JSON.parse(`{"__proto__":{"mode":"x"},${JSON.stringify(KNOWN).slice(1)}`)),
    null,
  );
});

Deno.test("a host with a guest in each slot fits what is read back", () => {
  const guests = Array.from({ length: 64 }, (_, n) => ({
    vm: `${n}`.padEnd(63, "x"),
    state: "suspending" as const,
  }));
  assert.deepEqual(readLastKnown(renderLastKnown({ ...KNOWN, guests }), BOOT)?.guests, guests);
});

Deno.test("oomKills counts what is no guest's, and nothing where the kernel does not say", () => {
  assert.equal(oomKills("a 1\noom_kill 5\nb 2\n", "oom 9\noom_kill 3\noom_group_kill 1\n"), 2);
  assert.equal(oomKills("oom_kill 1\n", "oom_kill 2\n"), 0);
  assert.equal(oomKills(null, "oom_kill 2\n"), null);
  assert.equal(oomKills("oom_kill 2\n", ""), null);
});
