import assert from "node:assert/strict";
import fc from "fast-check";
import { FORMAT_VERSION, parseTrailer, renderTrailer, type SavedState } from "./trailer.ts";

const KEY = new Uint8Array(32).fill(7);
const STREAM = new TextEncoder().encode("what QEMU sent");
const HASH = "a".repeat(64);
const STATE: SavedState = {
  vm: "demo",
  kind: "linux",
  slot: 3,
  uuid: "5d0a3c6e-0000-4000-8000-000000000001",
  generation: "b".repeat(32),
  plan: HASH,
  machine: "pc-q35-7.2",
  cpu: { model: "host", host: HASH, guest: HASH },
  qemu: "7.2.22 Debian",
  files: [{
    name: "disk0",
    path: "vm/linux/demo/rootfs.ext4",
    access: "rw",
    inode: 12,
    size: 4096,
    modified_ms: 1,
    changed_ms: 2,
  }],
  stream: { bytes: STREAM.length, sha256: HASH },
  saved_at: "2026-01-01T00:00:00.000Z",
};

function fileOf(state: SavedState = STATE, key = KEY): Uint8Array {
  return new Uint8Array([...STREAM, ...renderTrailer(state, key)]);
}

function rule(file: Uint8Array, key = KEY): string {
  const parsed = parseTrailer(file, file.length, key);
  return parsed.ok ? "ok" : parsed.issue.rule;
}

Deno.test("parseTrailer gives back what was rendered", () => {
  const file = fileOf();
  assert.deepEqual(parseTrailer(file, file.length, KEY), { ok: true, state: STATE });
});

Deno.test("parseTrailer refuses each flipped bit of the trailer", () => {
  const file = fileOf();
  for (let at = STREAM.length; at < file.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = file.slice();
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
      assert.match(rule(flipped), /^vm\.saved_(damaged|incomplete|version)$/, `byte ${at}`);
    }
  }
});

Deno.test("parseTrailer refuses every shorter and every longer file", () => {
  const file = fileOf();
  for (let length = 0; length < file.length; length++) {
    assert.notEqual(rule(file.subarray(0, length)), "ok", `${length} bytes`);
  }
  assert.equal(rule(new Uint8Array([...file, 0])), "vm.saved_incomplete");
  assert.equal(rule(new Uint8Array([0, ...file])), "vm.saved_damaged");
  assert.equal(rule(file.subarray(1)), "vm.saved_damaged");
});

Deno.test("parseTrailer refuses another key and another version", () => {
  assert.equal(rule(fileOf(), new Uint8Array(32)), "vm.saved_damaged");
  const file = fileOf();
  new DataView(file.buffer).setUint32(file.length - 12, FORMAT_VERSION + 1);
  assert.equal(rule(file), "vm.saved_version");
});

Deno.test("parseTrailer refuses a form that the key vouches for but that is none of this version", () => {
  for (
    const wrong of [
      { ...STATE, more: 1 },
      { ...STATE, slot: -1 },
      { ...STATE, plan: "short" },
      { ...STATE, files: [{ ...STATE.files[0], access: "x" }] },
      { ...STATE, cpu: { model: "host", host: HASH } },
    ]
  ) assert.equal(rule(fileOf(wrong as SavedState)), "vm.saved_damaged");
});

Deno.test("parseTrailer throws at no bytes at all", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (bytes, size) => {
    assert.equal(parseTrailer(bytes, size, KEY).ok, false);
  }));
  const end = renderTrailer(STATE, KEY).slice(-16);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (bytes, length) => {
    new DataView(end.buffer).setUint32(0, length);
    assert.equal(parseTrailer(new Uint8Array([...bytes, ...end]), 1000, KEY).ok, false);
  }));
});
