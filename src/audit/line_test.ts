import assert from "node:assert/strict";
import fc from "fast-check";
import { escapeUnsafe } from "../escape.ts";
import { issue } from "../issue.ts";
import { fieldValue, marker, MAX_LINE_BYTES, renderLine } from "./line.ts";
import { lineOf } from "./marker.ts";
import { LINE_GRAMMAR } from "./testdata/line_grammar.ts";

Deno.test("renderLine gives one line of the grammar whatever a value holds", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.string(), (value, detail) => {
      const text = renderLine("mono:12", {
        level: "error",
        component: "policy",
        event: marker("RAYOS_POLICY_VIOLATION", "sig.mismatch", detail),
        fields: { found: value, line: 3, nothing: null },
      });
      assert.match(text, LINE_GRAMMAR);
      assert.ok(new TextEncoder().encode(text).length <= MAX_LINE_BYTES);
    }),
  );
});

Deno.test("lineOf and renderLine make one line of whatever a guest, a kernel or a file may have said", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.constantFrom(
      "\n2026-11-24T12:00:00.000Z INFO init RAYOS_READY mode=normal guests=1",
      "\r\u001b[2JRAYOS_POLICY_OK:0",
      'x" RAYOS_READY mode="normal',
    ),
  );
  fc.assert(
    fc.property(text, (said) => {
      const found = issue(said, { path: said, expected: said, found: said, hint: said });
      for (
        const event of [
          { type: "kernel", priority: 3, text: said, ms: 1 },
          { type: "fault", stage: "guest", code: "guest.qmp", message: said },
          { type: "violation", issue: { ...found, rule: "path.x" }, vm: null },
          { type: "finding", issue: { ...found, rule: "path.x" } },
          { type: "audit_finding", issue: { ...found, rule: "audit.x" } },
          { type: "host_event", op: said, target: said, caller: "socket" },
          { type: "host_ack", op: said, ok: false, detail: said },
        ] as const
      ) {
        const line = renderLine("mono:12", lineOf(event));
        assert.equal(line.split(/[\r\n\u2028\u2029]/).length, 1);
        if (!line.endsWith(" cut=true")) assert.match(line, LINE_GRAMMAR);
        assert.ok(line.startsWith("mono:12 "));
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("renderLine cuts at 4 KiB, at a character's border, and says so", () => {
  const text = renderLine("mono:1", {
    level: "info",
    component: "x",
    event: "word",
    fields: { a: "é".repeat(5000) },
  });
  const bytes = new TextEncoder().encode(text);
  assert.ok(bytes.length <= MAX_LINE_BYTES && bytes.length > MAX_LINE_BYTES - 4);
  assert.match(text, / cut=true$/);
  assert.ok(!text.includes("\ufffd"));
});

Deno.test("marker percent-encodes what could end a field and keeps it under 200 bytes", () => {
  assert.equal(marker("M", "a:b c\n", "ä"), "M:a%3Ab%20c%0A:%C3%A4");
  assert.equal(marker("M", "x".repeat(300)).length, 2 + 200);
  // A cut never leaves half an encoded character.
  assert.match(marker("M", "ä".repeat(100)), /^M:(%C3%A4)+$/);
});

Deno.test("escapeUnsafe leaves no control, bidirectional or invisible character", () => {
  const hostile = "\u001b[2J\r\n\u202e\u200b\u2028\ud800\ufeff\u{e0041}";
  assert.match(escapeUnsafe(hostile), /^(\\u[0-9a-f]{4}|\[2J)+$/);
  assert.equal(escapeUnsafe("plain äöü 漢字"), "plain äöü 漢字");
});

Deno.test("fieldValue quotes what has spaces, quotes or equals signs, and the empty text", () => {
  assert.equal(fieldValue("plain"), "plain");
  assert.equal(fieldValue(""), '""');
  assert.equal(fieldValue('a="b"'), '"a=\\"b\\""');
  assert.equal(JSON.parse(fieldValue("a\nb")), "a\nb");
});
