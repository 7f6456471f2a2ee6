import assert from "node:assert/strict";
import fc from "fast-check";
import { renderLine } from "../src/audit/line.ts";
import { isMarker, markerText, monoOf, parseLogLine, PortReader } from "./boot_log.ts";

const RUN = "0123456789abcdef";
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("parseLogLine reads level, component, event and fields", () => {
  const line = parseLogLine(
    'mono:1234 WARN policy RAYOS_SAFE_MODE:a.b:x vm=a why="two \\"w\\""',
    5,
  );
  assert.ok(line);
  assert.equal(line.event, "RAYOS_SAFE_MODE:a.b:x");
  assert.deepEqual({ ...line.fields }, { vm: "a", why: 'two "w"' });
  assert.equal(line.whole, true);
  assert.equal(monoOf(line), 1234);
  assert.equal(isMarker(line), true);
  assert.equal(markerText(line), 'RAYOS_SAFE_MODE:a.b:x vm=a why="two \\"w\\""');
});

Deno.test("parseLogLine refuses text that does not begin as a line", () => {
  for (
    const text of [
      "",
      "RAYOS_READY mode=normal",
      "INFO init RAYOS_READY",
      "guest[a] mono:1 INFO init RAYOS_READY",
      "mono:1 LOUD init RAYOS_READY",
      "mono:x INFO init RAYOS_READY",
      "2026-01-01 INFO init RAYOS_READY",
      " mono:1 INFO init RAYOS_READY",
    ]
  ) assert.equal(parseLogLine(text, 0), null, text);
});

Deno.test("parseLogLine keeps the marker of a line that was cut inside a field", () => {
  const line = parseLogLine(
    'mono:1 ERROR policy RAYOS_POLICY_VIOLATION:a:b vm=x found="abc cut=true',
    0,
  );
  assert.equal(line?.event, "RAYOS_POLICY_VIOLATION:a:b");
  assert.deepEqual({ ...line?.fields }, { vm: "x" });
  assert.equal(line?.whole, false);
});

Deno.test("parseLogLine reads back every line that the host renders", () => {
  fc.assert(fc.property(
    fc.dictionary(fc.stringMatching(/^[a-z][a-z_]{0,8}$/), fc.string({ unit: "binary" }), {
      maxKeys: 5,
    }),
    (fields) => {
      const text = renderLine("mono:7", {
        level: "info",
        component: "vm",
        event: "RAYOS_READY",
        fields,
      });
      const line = parseLogLine(text, 0);
      assert.ok(line?.whole, text);
      assert.deepEqual({ ...line.fields }, { ...fields });
    },
  ));
});

Deno.test("PortReader takes only lines with its run number", () => {
  const reader = new PortReader(RUN);
  const lines = reader.feed(
    bytes(
      `${RUN} mono:1 INFO init one\nfedcba9876543210 mono:1 INFO init two\n` +
        `mono:1 INFO init three\nx ${RUN} mono:1 INFO init four\n${RUN}mono:1 INFO init five\n`,
    ),
    0,
  );
  assert.deepEqual(lines.map((line) => line.event), ["one"]);
  assert.equal(reader.foreign, 4);
  assert.equal(reader.malformed, 0);
});

Deno.test("PortReader gives the same lines however the bytes are cut", () => {
  const text = `${RUN} mono:1 INFO init one a=é\n${RUN} nonsense\n${RUN} mono:2 INFO init two\n`;
  fc.assert(fc.property(fc.array(fc.nat({ max: 20 })), (cuts) => {
    const reader = new PortReader(RUN);
    const all = bytes(text);
    const events: string[] = [];
    let at = 0;
    for (const cut of [...cuts, all.length]) {
      events.push(...reader.feed(all.subarray(at, at + cut), 0).map((line) => line.event));
      at = Math.min(all.length, at + cut);
    }
    assert.deepEqual(events, ["one", "two"]);
    assert.equal(reader.malformed, 1);
  }));
});
