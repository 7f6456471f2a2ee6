import assert from "node:assert/strict";
import { CALLERS, onlyLooks, OPS } from "../policy/ops.ts";
import { decisionEntry, entryOf } from "./audited.ts";

Deno.test("every decision and answer is a record, but for requests that only look", () => {
  for (const op of [...OPS, "no.such_op", "__proto__"]) {
    for (const allow of [true, false]) {
      const rule = allow ? null : "op.caller";
      for (const caller of CALLERS) {
        const decided = { caller, op, vm: null, allow, rule, detail: null };
        assert.equal(decisionEntry(decided, onlyLooks) === null, onlyLooks(op), op);
      }
      const ack = { type: "host_ack", op, ok: allow, detail: "done" } as const;
      assert.equal(entryOf(ack, onlyLooks) === null, onlyLooks(op), op);
    }
  }
});
