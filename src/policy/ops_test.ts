import assert from "node:assert/strict";
import { isLive, isWhileLocked, onlyLooks, OP_TABLE, OPS } from "./ops.ts";

Deno.test("what only looks gives nothing to anybody, and has a name that says so", () => {
  const looking = OPS.filter(onlyLooks);
  assert.ok(looking.length > 15);
  for (const op of looking) {
    assert.equal(OP_TABLE[op].exposes, false, op);
    assert.match(
      op,
      /^(status|metrics|.+\.(list|show|check|plan|log|info|tail|explain|history|timeline|verify|status))$/u,
    );
  }
});

Deno.test("a name that is no operation's is not live, looks at nothing and is not asked for while locked", () => {
  for (const op of ["", "__proto__", "constructor", "vm", "status "]) {
    assert.deepEqual([isLive(op), onlyLooks(op), isWhileLocked(op)], [false, false, false], op);
  }
  assert.deepEqual(
    OPS.filter((op) => isWhileLocked(op) && !onlyLooks(op)),
    ["recovery.unlock", "power.off", "power.reboot"],
  );
});
