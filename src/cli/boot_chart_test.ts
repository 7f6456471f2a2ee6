import assert from "node:assert/strict";
import fc from "fast-check";
import { askPython, isThere, PYTHON } from "../../test/python.ts";
import { renderBootChart, type Timeline } from "./boot_chart.ts";

const BOOT: Timeline = {
  boot_id: "11111111-2222-3333-4444-555555555555",
  start: 1,
  version: "0.1.0",
  now_ms: 60_000,
  before: { kernel: 2_000, stage0: 700, program: 1_300 },
  marks: [
    { at: 4_000, kind: "phase", name: "data", ended: false },
    { at: 4_900, kind: "phase", name: "data", ended: true },
    { at: 5_000, kind: "guest", name: "demo", state: "starting" },
    { at: 6_500, kind: "guest", name: "demo", state: "running" },
    { at: 7_000, kind: "marker", name: "RAYOS_READY" },
    { at: 9_000, kind: "guest", name: "demo", state: "ready" },
    { at: 9_100, kind: "phase", name: "open", ended: false },
  ],
};

/** Places and widths of bars by their colour. */
function bars(svg: string, colour: string): { x: number; width: number }[] {
  const pattern = new RegExp(
    `<rect x="([\\d.]+)" y="\\d+" width="([\\d.]+)" height="14" fill="${colour}"`,
    "g",
  );
  return [...svg.matchAll(pattern)].map(([, x, width]) => ({ x: Number(x), width: Number(width) }));
}

Deno.test("renderBootChart draws what came before, phases, guests by their states, and markers, to one scale", () => {
  const svg = renderBootChart(BOOT);
  const before = bars(svg, "#9aa5b1");
  assert.equal(before.length, 3);
  // 2 s of kernel are twenty times a tenth of a second of program.
  const perMs = (before[0]?.width ?? 0) / 2_000;
  const near = (one: number | undefined, other: number) =>
    assert.ok(Math.abs((one ?? 0) - other) < 0.1);
  near(before[1]?.width, 700 * perMs);
  const [starting] = bars(svg, "#e3b448");
  near(starting?.x, 20 + 5_000 * perMs);
  near(starting?.width, 1_500 * perMs);
  near(bars(svg, "#6aa84f")[0]?.width, 2_500 * perMs);
  assert.match(svg, />data \(900 ms\)</);
  assert.match(svg, />demo ready</);
  assert.match(svg, />RAYOS_READY 7\.0 s</);
  // A phase that has not ended is drawn to now.
  assert.match(svg, />open \(50\.9 s\)</);
});

/** What Debian's package `chromium` brings; `tools/rayos test full` installs it. */
const BROWSER = "/usr/bin/chromium";

/** Draws the chart as an image and says the colour in the middle of each place, in its own page's words. */
function pageOf(svg: string, places: readonly { x: number; y: number }[]): string {
  const image = `data:image/svg+xml;base64,${
    btoa(String.fromCharCode(...new TextEncoder().encode(svg)))
  }`;
  return `<!doctype html><meta charset="utf-8"><p id="seen">nothing</p><script>
const image = new Image();
image.onload = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const hex = ({ x, y }) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3)
    .map((one) => one.toString(16).padStart(2, "0")).join("");
  document.getElementById("seen").textContent = ${JSON.stringify(places)}.map(hex).join(" ");
};
image.src = "${image}";
</script>`;
}

Deno.test({
  name: "a browser draws each bar of the chart in its colour, at its place",
  ignore: !isThere(BROWSER),
  async fn() {
    const svg = renderBootChart(BOOT);
    const shapes = [...svg.matchAll(
      /<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)" height="(\d+)" fill="#([0-9a-f]{6})"/g,
    )].map(([, x, y, width, height, fill]) => ({
      // Near the left end, where no letter stands over it.
      x: Math.round(Number(x) + Math.min(2, Number(width) / 2)),
      y: Math.round(Number(y) + Number(height) / 2),
      wide: Number(width) >= 4,
      fill,
    })).filter((one) => one.wide);
    assert.ok(shapes.length >= 7, `${shapes.length} bars`);
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/page.html`, pageOf(svg, shapes));
      const { stdout } = await new Deno.Command(BROWSER, {
        args: [
          ...["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${folder}/profile`],
          ...["--virtual-time-budget=10000", "--dump-dom", `file://${folder}/page.html`],
        ],
        stderr: "null",
      }).output();
      const [, seen] = new TextDecoder().decode(stdout).match(/<p id="seen">([^<]*)</) ?? [];
      assert.equal(seen, shapes.map((one) => one.fill).join(" "));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

const READ = `
import json, sys, xml.etree.ElementTree as tree
print(json.dumps([[e.text for e in tree.fromstring(one.encode()).iter("{http://www.w3.org/2000/svg}text")]
                  for one in json.load(sys.stdin)]))
`;

Deno.test({
  name: "renderBootChart is well-formed for a parser of XML, whatever names and times there are",
  ignore: !isThere(PYTHON),
  async fn() {
    const at = fc.double({ min: 0, max: 1e9, noNaN: true });
    const name = fc.string({ unit: "binary", maxLength: 12 });
    const mark = fc.oneof(
      fc.record({ at, name, kind: fc.constant("phase" as const), ended: fc.boolean() }),
      fc.record({ at, name, kind: fc.constant("guest" as const), state: name }),
      fc.record({ at, name, kind: fc.constant("marker" as const) }),
    );
    const drawn = fc.sample(fc.array(mark, { maxLength: 8 }), 300);
    const hostile = '</text><script>alert("1")</script>&\u0000\uffff\ud800';
    const charts = drawn.map((marks) =>
      renderBootChart({
        ...BOOT,
        boot_id: hostile,
        marks: [...marks, { at: 1, kind: "marker", name: hostile }],
      })
    );
    for (const chart of charts) assert.ok(!chart.includes("<script"));
    const texts = await askPython(READ, charts) as string[][];
    assert.equal(texts.length, charts.length);
    for (const found of texts) {
      assert.ok(
        found.some((one) => one.startsWith('</text><script>alert("1")</script>&\\u0000?\\ud800 ')),
      );
    }
  },
});
