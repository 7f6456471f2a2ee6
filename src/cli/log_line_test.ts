import assert from "node:assert/strict";
import fc from "fast-check";
import { renderLine } from "../audit/line.ts";
import { isAskedFor, LEVELS, parseLogLine } from "./log_line.ts";

Deno.test("parseLogLine reads back what renderLine wrote", () => {
  const value = fc.string({ unit: "binary", maxLength: 20 }).map((text) => text.toWellFormed());
  fc.assert(
    fc.property(
      fc.constantFrom(...LEVELS),
      fc.dictionary(fc.constantFrom("vm", "why"), value),
      (level, fields) => {
        const line = renderLine("mono:1", { level, component: "vm", event: "word", fields });
        assert.deepEqual({ ...parseLogLine(line)?.fields }, { ...fields });
        assert.equal(parseLogLine(line)?.level, level);
      },
    ),
  );
});

Deno.test("isAskedFor keeps the lines of one guest and of a level or graver", () => {
  const line = "mono:12 WARN vm vm_restart vm=demo wait_ms=3";
  assert.ok(isAskedFor(line, {}));
  assert.ok(isAskedFor(line, { vm: "demo", level: "info" }));
  assert.ok(!isAskedFor(line, { vm: "dem" }));
  assert.ok(!isAskedFor(line, { level: "error" }));
  assert.ok(
    isAskedFor("mono:1 INFO control RAYOS_HOST_EVENT_V0:vm.stop:demo caller=socket", {
      vm: "demo",
    }),
  );
  // A guest's name in a value is not the guest.
  assert.ok(!isAskedFor('mono:1 INFO x word detail="vm=demo"', { vm: "demo" }));
  assert.ok(isAskedFor("no line of ours", {}));
  assert.ok(!isAskedFor("no line of ours", { level: "trace" }));
});
