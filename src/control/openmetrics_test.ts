import assert from "node:assert/strict";
import fc from "fast-check";
import { isThere, PROMETHEUS, PYTHON, readByPrometheus } from "../../test/python.ts";
import { Counters } from "./counters.ts";
import { type Family, renderOpenMetrics } from "./openmetrics.ts";

Deno.test("renderOpenMetrics ends with EOF, and escapes what could begin a line or end a label", () => {
  const hostile = 'a"b\\c\nd 1\n# EOF\n';
  const text = renderOpenMetrics([{
    name: "rayos_x",
    type: "gauge",
    help: hostile,
    samples: [{ labels: { vm: hostile }, value: 1.5 }],
  }]);
  assert.equal(
    text,
    "# TYPE rayos_x gauge\n" +
      '# HELP rayos_x a\\"b\\\\c\\nd 1\\n# EOF\\n\n' +
      'rayos_x{vm="a\\"b\\\\c\\nd 1\\n# EOF\\n"} 1.5\n# EOF\n',
  );
});

Deno.test("renderOpenMetrics leaves out what is unknown, what has no name, and what was said before", () => {
  const family = (name: string, value: number, more: Partial<Family> = {}): Family => ({
    name,
    type: "gauge",
    help: "",
    samples: [{ value }],
    ...more,
  });
  const text = renderOpenMetrics([
    family("a", NaN),
    family("b c", 1),
    family("d", 1, { unit: "bytes" }),
    family("e", 1),
    family("e", 2),
    family("f", 1, { samples: [{ labels: { "g h": "x" }, value: 1 }] }),
    family("i", Infinity, { type: "counter" }),
  ]);
  assert.equal(
    text,
    "# TYPE e gauge\n# HELP e \ne 1\n# TYPE i counter\n# HELP i \ni_total +Inf\n# EOF\n",
  );
});

Deno.test({
  name: "Prometheus' own parser reads back what renderOpenMetrics wrote, whatever the labels hold",
  // `tools/rayos setup` installs it (python3-prometheus-client).
  ignore: !isThere(PYTHON) || !isThere(PROMETHEUS),
  async fn() {
    const word = fc.string({ unit: "binary", maxLength: 12 });
    const sample = fc.tuple(word, fc.double({ noNaN: true, min: 0 }));
    const family = fc.tuple(
      fc.constantFrom("gauge" as const, "counter" as const),
      fc.uniqueArray(sample, { selector: ([label]) => clean(label), minLength: 1, maxLength: 4 }),
    );
    const drawn = fc.sample(fc.array(family, { maxLength: 4 }), 300);
    const families = drawn.map((list) =>
      list.map(([type, samples], n): Family => ({
        name: `rayos_${n}_seconds`,
        type,
        unit: "seconds",
        help: samples[0]?.[0] ?? "",
        samples: samples.map(([vm, value]) => ({ labels: { vm }, value })),
      }))
    );
    const read = await readByPrometheus(families.map(renderOpenMetrics));
    read.forEach((found, at) => {
      const wanted = (families[at] ?? []).map((one) => [
        one.name,
        one.type,
        "seconds",
        one.samples.map(({ labels, value }) => [
          one.type === "counter" ? `${one.name}_total` : one.name,
          { vm: clean(labels?.["vm"] ?? "") },
          value,
        ]),
      ]);
      const numbers = found.map(([name, type, unit, samples]) => [
        name,
        type,
        unit,
        samples.map((
          [sample, labels, value],
        ) => [sample, labels, Number(value.replace("inf", "Infinity"))]),
      ]);
      assert.deepEqual(numbers, wanted);
    });
  },
});

/** A label as it can be told to a reader of lines. */
function clean(text: string): string {
  return text.toWellFormed().replace(/[^\P{Cc}\n]|[\p{Zl}\p{Zp}]/gu, " ");
}

Deno.test("Counters counts denials by their rule, and no more names than there is room for", () => {
  const counters = new Counters();
  const ack = (op: string, ok: boolean, detail: string) =>
    counters.see({ type: "host_ack", op, ok, detail }, 0);
  ack("status", true, "done");
  ack("vm.start", false, "vm.unknown");
  ack("vm.start", false, "vm.unknown");
  assert.deepEqual(counters.denials.entries, [["vm.unknown", 2]]);
  assert.deepEqual(counters.done.entries, [["status", 1]]);
  for (let n = 0; n < 5_000; n++) ack("x", false, `rule.${n}`);
  assert.equal(counters.denials.entries.length, 201);
  assert.equal(counters.denials.entries.find(([name]) => name === "others")?.[1], 5_000 - 199);
});
