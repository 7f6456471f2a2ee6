import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { FakeHost } from "../../test/fake_host.ts";
import { Fault } from "../fault.ts";
import { HEADLESS, type Pictures } from "../presentation/screen.ts";
import { psf1 } from "../presentation/sample_font.ts";
import type { Runtime } from "../runtime.ts";
import { beginScreen } from "./screen.ts";
import { turns } from "../../test/turns.ts";

const FONT = "/etc/rayos/font.psf.gz";
const FOLDER = "/run/rayos/sys/class/graphics/fb0";
const FILES = {
  [`${FOLDER}/virtual_size`]: "800,600\n",
  [`${FOLDER}/bits_per_pixel`]: "32\n",
  [`${FOLDER}/stride`]: "3200\n",
  [FONT]: gzipSync(Uint8Array.from(psf1())),
};

/** What comes of a host with those files; an empty text: without that file. */
function begin(change: Partial<typeof FILES> | null = {}) {
  const host = new FakeHost();
  const seen = { closed: 0, writes: 0 };
  // Ends at once, so that no test has anything left.
  const write = () => {
    seen.writes++;
    throw new Fault("screen", "screen.lost", "fb: gone; reboot");
  };
  if (change !== null) host.framebuffer = { write, close: () => void seen.closed++ };
  for (const [path, content] of Object.entries({ ...FILES, ...change })) {
    if (content !== "") host.seed(path, content);
  }
  const faults: string[] = [];
  const presenter = { pictures: HEADLESS as Pictures };
  const emit = (event: { type: string; code?: string }) =>
    void (event.type === "fault" && faults.push(event.code ?? ""));
  beginScreen({ host, presenter, emit } as unknown as Runtime);
  return { faults, seen, presenter };
}

Deno.test("beginScreen draws where there are a framebuffer and a font", async () => {
  const { faults, seen, presenter } = begin();
  assert.notEqual(presenter.pictures, HEADLESS);
  await turns();
  assert.deepEqual([seen.writes, faults], [1, ["screen.lost"]]);
});

Deno.test("beginScreen leaves a host without a screen as it is, without a word", () => {
  const { faults, presenter } = begin(null);
  assert.deepEqual([faults, presenter.pictures], [[], HEADLESS]);
});

Deno.test("beginScreen draws nothing without a whole font or a framebuffer of the right form, and says so", () => {
  const cut = gzipSync(Uint8Array.from(psf1().slice(0, 100)));
  const large = gzipSync(new Uint8Array(1024 * 1024));
  for (
    const [change, code] of [
      [{ [FONT]: "" }, "font.missing"],
      [{ [FONT]: "no gzip" }, "font.form"],
      [{ [FONT]: FILES[FONT]?.slice(0, 50) }, "font.form"],
      [{ [FONT]: cut }, "font.form"],
      [{ [FONT]: large }, "font.form"],
      [{ [`${FOLDER}/bits_per_pixel`]: "16" }, "screen.format"],
      [{ [`${FOLDER}/stride`]: "" }, "screen.format"],
      [{ [`${FOLDER}/virtual_size`]: "640,480" }, "screen.too_small"],
    ] as [Partial<typeof FILES>, string][]
  ) {
    const { faults, seen, presenter } = begin(change);
    assert.deepEqual([faults, presenter.pictures], [[code], HEADLESS]);
    assert.deepEqual([seen.closed, seen.writes], [1, 0]);
  }
});
