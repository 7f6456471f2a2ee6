import assert from "node:assert/strict";
import fc from "fast-check";
import { beginChain, link, macOf, nextEpoch, skipTo } from "./chain.ts";
import { sha256Hex } from "../sha256.ts";
import { decodeKeyState, encodeKeyState, KEY_STATE_BYTES } from "./key_state.ts";
import { canonicalJson, readJson } from "../json.ts";
import { readRecord } from "./record.ts";
import { KEY, sampleContent, sampleLog } from "./testdata/sample_log.ts";
import { keyText, readKeyText } from "./verification_key.ts";

const encoder = new TextEncoder();

Deno.test("macOf is HMAC-SHA-256: RFC 4231, test case 2", () => {
  const mac = macOf(encoder.encode("Jefe"), "what do ya want for nothing?");
  assert.equal(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
});

Deno.test("skipTo comes to the key that going step by step comes to", () => {
  const log = sampleLog(130, { sealEvery: 40 });
  for (const state of log.before) {
    const there = skipTo(beginChain(KEY), state);
    assert.deepEqual(there?.recordKey, state.recordKey);
    assert.deepEqual(there?.nextEpochKey, state.nextEpochKey);
  }
  assert.equal(skipTo(log.state.chain, { epoch: 0, index: 3 }), null, "there is no way back");
});

Deno.test("link never uses a key twice, and no key of the past is in a state", () => {
  const log = sampleLog(130, { sealEvery: 40 });
  const keys = log.before.map((one) => sha256Hex(one.recordKey));
  assert.equal(new Set(keys).size, keys.length);
  const state = encodeKeyState(log.state);
  const text = Array.from(state, (byte) => String.fromCharCode(byte)).join("");
  for (const one of log.before) {
    assert.ok(!text.includes(String.fromCharCode(...one.recordKey)));
  }
  assert.ok(!text.includes(String.fromCharCode(...KEY)));
  assert.notDeepEqual(nextEpoch(log.state.chain).recordKey, log.state.chain.recordKey);
});

Deno.test("link writes canonical JSON on one line, whatever a value holds", () => {
  const value = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value), fc.string(), (data, event) => {
      const { line } = link(beginChain(KEY), { event: event.toWellFormed(), time: "mono:1", data });
      assert.ok(!line.includes("\n"));
      if ("__proto__" in data && Object.hasOwn(data, "__proto__")) return;
      const read = readJson(line);
      assert.ok(read.ok, line);
      assert.equal(canonicalJson(read.value), line);
      assert.notEqual(readRecord(encoder.encode(line)), null);
    }),
  );
});

Deno.test("decodeKeyState gives back what was encoded, also from the half that is whole", () => {
  const { state } = sampleLog(60);
  const file = encodeKeyState({ ...state, unshown: KEY });
  assert.equal(file.length, KEY_STATE_BYTES);
  assert.deepEqual(decodeKeyState(file), { ...state, unshown: KEY });
  const older = encodeKeyState(sampleLog(59).state);
  for (let cut = 0; cut <= KEY_STATE_BYTES; cut++) {
    // A write that was cut off anywhere: its beginning is new, the rest is as it was.
    const torn = Uint8Array.from([...file.subarray(0, cut), ...older.subarray(cut)]);
    const found = decodeKeyState(torn);
    assert.ok(found !== null && [59, 60].includes(found.chain.seq), `cut at ${cut}`);
  }
  assert.equal(decodeKeyState(new Uint8Array(KEY_STATE_BYTES)), null);
  assert.equal(decodeKeyState(file.subarray(1)), null);
});

Deno.test("keyText is read back in any case and spacing, and a letter that is wrong is noticed", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
      const text = keyText(key);
      assert.match(text, /^([A-Z2-7]{5}-){10}[A-Z2-7]{5}$/);
      assert.deepEqual(readKeyText(` ${text.toLowerCase().replaceAll("-", " ")}\n`), key);
    }),
  );
  const text = keyText(KEY);
  let noticed = 0;
  let tried = 0;
  for (let at = 0; at < text.length; at++) {
    for (const letter of "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") {
      if (text[at] === "-" || text[at] === letter) continue;
      tried++;
      if (readKeyText(text.slice(0, at) + letter + text.slice(at + 1)) === null) noticed++;
    }
  }
  // Sixteen bits of check: one in 65 536 slips through.
  assert.ok(tried - noticed <= 3, `${tried - noticed} of ${tried}`);
  assert.equal(readKeyText("no key"), null);
  assert.equal(sampleContent(1).event, "RAYOS_VM_STATE:stopped:starting");
});
