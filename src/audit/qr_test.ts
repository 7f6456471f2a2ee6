import assert from "node:assert/strict";
import decodeQR from "qr/decode.js";
import { drawQr } from "./qr.ts";
import { KEY } from "./testdata/sample_log.ts";
import { keyText } from "./verification_key.ts";

Deno.test("drawQr fits a console of 80 columns and 24 lines, and a camera reads the key from it", () => {
  const text = keyText(KEY);
  const lines = drawQr(text).split("\n");
  assert.ok(lines.length <= 21, `${lines.length} lines`);
  assert.ok(lines.every((line) => line.length <= 80 && line.length === lines[0]?.length));
  // As a camera sees it: each module as a square of several points.
  const scale = 4;
  const modules = lines.flatMap((line) => [
    [...line].map((char) => char === "█" || char === "▀"),
    [...line].map((char) => char === "█" || char === "▄"),
  ]);
  const width = (modules[0]?.length ?? 0) * scale;
  const height = modules.length * scale;
  const data = new Uint8Array(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const light = modules[Math.floor(y / scale)]?.[Math.floor(x / scale)] === true;
      data.fill(light ? 255 : 0, (y * width + x) * 4, (y * width + x) * 4 + 3);
    }
  }
  assert.equal(decodeQR({ width, height, data }), text);
});
