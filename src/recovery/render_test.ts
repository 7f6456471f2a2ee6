import assert from "node:assert/strict";
import fc from "fast-check";
import { LINE_GRAMMAR } from "../audit/testdata/line_grammar.ts";
import { renderDenied, renderFields, renderResult } from "./render.ts";
import { widthOf } from "./text_width.ts";
import { renderWhy } from "./why.ts";
import { wrap } from "./wrap.ts";

const HOSTILE = "\x1b[2J\r\x07\u202e" + "x".repeat(200);

const QUIET = { crashed: null, strangers: [] };

function assertHarmless(text: string): void {
  assert.doesNotMatch(text, /[^\P{Cc}\n]|\p{Cf}/u);
  for (const line of text.split("\n")) assert.ok(widthOf(line) < 80, line);
}

Deno.test("renderResult shows any answer in 80 columns, without anything that moves a cursor", () => {
  const shapes = [
    "status",
    "guests",
    "network",
    "guest",
    "lines",
    "guest_lines",
    "policy_check",
    "installed",
    "statements",
    "fields",
  ] as const;
  const keys = fc.constantFrom("vm", "a", "long_key_of_somebody", "result\x1b[H");
  const answer = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: "small" },
      fc.string({ unit: "binary" }),
      fc.integer(),
      fc.constantFrom(null, true, HOSTILE),
      fc.array(tie("any"), { maxLength: 4 }),
      fc.dictionary(keys, tie("any"), { maxKeys: 4 }),
    ),
  })).any;
  fc.assert(
    fc.property(fc.constantFrom(...shapes), answer, (shown, result) => {
      assertHarmless(renderResult(shown, result, "demo"));
    }),
    { numRuns: 500 },
  );
});

Deno.test("renderResult marks every row of what a guest wrote, so that none can be a line of the host's", () => {
  const ours = fc.constantFrom(
    "2026-11-24T12:00:00.000Z INFO policy RAYOS_POLICY_OK:aa serial=3",
    "mono:12 INFO init RAYOS_READY mode=normal guests=1",
    "rayos> reboot",
  );
  const written = fc.oneof(
    fc.string({ unit: "binary" }),
    ours,
    // What is cut at the end of a row may begin the next one.
    fc.tuple(fc.nat({ max: 90 }), ours).map(([n, line]) => `${"x".repeat(n)} ${line}`),
    fc.tuple(fc.nat({ max: 90 }), ours).map(([n, line]) => `${"x".repeat(n)}\n${line}`),
  );
  fc.assert(
    fc.property(fc.oneof(fc.array(fc.oneof(written, fc.anything())), written), (result) => {
      const rows = renderResult("guest_lines", result).split("\n");
      assert.equal(rows.pop(), "");
      for (const row of rows) {
        assert.ok(row.startsWith("| "), row);
        assert.doesNotMatch(row, LINE_GRAMMAR);
      }
    }),
  );
});

Deno.test("renderResult names each thing that stands against a policy, with its place and its mend", () => {
  const issue = {
    rule: "schema.unknown_key",
    path: "linux.limits.surprise",
    line: 12,
    expected: "a key of the schema",
    found: HOSTILE,
    hint: "remove it",
    severity: "error",
  };
  const text = renderResult("policy_check", {
    file: "policy/a.toml",
    holds: false,
    issues: [issue],
  });
  assert.match(text, /^error: schema\.unknown_key \(linux\.limits\.surprise, line 12\): expected/);
  assert.match(text, /\n {2}-> remove it\n.*it does not hold\n$/);
  assertHarmless(text);
});

Deno.test("renderDenied says the rule, and what to do where the rule is one of ours", () => {
  assert.match(
    renderDenied("op.locked", "data.repair"),
    /^denied by op\.locked: data\.repair\n {2}-> Say `unlock`/,
  );
  assertHarmless(renderDenied(HOSTILE, HOSTILE));
  assert.equal(renderDenied("__proto__", "x"), "denied by __proto__: x\n");
});

Deno.test("renderWhy says what is wrong, what to do, and whether the shell may change anything", () => {
  const troubles = [{ code: "sig.mismatch", text: "expected a, found b", hint: "sign again" }];
  const text = renderWhy({ mode: "safe", troubles, access: "closed", ...QUIET });
  assert.match(
    text,
    /safe mode: no guest is started, because\n {2}\* sig\.mismatch: expected a, found b\n {4}-> sign again\n/,
  );
  assert.match(text, /this shell only looks, and\nrestarts/);
  assert.match(
    renderWhy({ mode: "safe", troubles: [], access: "locked", ...QUIET }),
    /started\.\n.*`unlock`/,
  );
  assert.doesNotMatch(
    renderWhy({ mode: "recovery", troubles: [], access: "open", ...QUIET }),
    /unlock/,
  );
  assertHarmless(
    renderWhy({
      mode: "safe",
      troubles: [{ code: HOSTILE, text: HOSTILE, hint: HOSTILE }],
      access: "locked",
      ...QUIET,
    }),
  );
});

Deno.test("renderFields puts what is inside another thing below it", () => {
  assert.equal(
    renderFields({
      file: "a",
      holds: true,
      broken: [{ vm: "x", why: null }],
      guests: ["a", "b"],
      none: [],
    }),
    "file    a\nholds   yes\nbroken\n  vm   x\n  why  -\nguests  a, b\nnone    none\n",
  );
});

Deno.test("wrap loses nothing but blanks at line ends, and no line is too wide", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), fc.nat({ max: 10 }), (text, indent) => {
      const lines = wrap(text, indent);
      for (const line of lines) assert.ok(widthOf(line) < 80);
      assert.equal(lines.join("").replaceAll(" ", ""), text.replaceAll(" ", ""));
    }),
  );
});

Deno.test("renderWhy of a host in normal mode says so, and what is not well all the same", () => {
  const troubles = [{ code: "audit.unwritable", text: "no room", hint: "make some" }];
  assert.match(
    renderWhy({ mode: "normal", troubles: [], access: "open", ...QUIET }),
    /is in normal mode\.\n/,
  );
  const text = renderWhy({ mode: "normal", troubles, access: "closed", ...QUIET });
  assert.match(
    text,
    /normal mode, and not everything is well:\n {2}\* audit\.unwritable: no room\n/,
  );
});

Deno.test("renderWhy tells of a crash whose report is there, with what shows it, and of guests that run on", () => {
  const crashed = {
    boot: "99999999-2222",
    n: 2,
    cause: "panic",
    phase: "serving",
    time: "noon",
    this_boot: false,
  };
  const strangers = ["slot-05", "slot-07"];
  const why = { mode: "normal", troubles: [], access: "open", crashed, strangers } as const;
  const text = renderWhy(why);
  assert.match(
    text,
    /The last crash: panic in the last boot, noon\.\n {2}-> `crash show 99999999 2`\n/,
  );
  assert.match(text, /still runs: slot-05, slot-07\.\n {2}-> `vm list`/);
  assertHarmless(
    renderWhy({ ...why, crashed: { ...crashed, boot: HOSTILE, cause: HOSTILE, time: HOSTILE } }),
  );
});
