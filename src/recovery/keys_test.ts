import assert from "node:assert/strict";
import fc from "fast-check";
import { type Key, KeyDecoder } from "./keys.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Neighbouring text is one, as a person sees it. */
function joined(keys: readonly Key[]): Key[] {
  const out: Key[] = [];
  for (const key of keys) {
    const last = out.at(-1);
    if (last !== undefined && "text" in last && "text" in key && last.key === key.key) {
      out[out.length - 1] = { key: last.key, text: last.text + key.text };
    } else out.push(key);
  }
  return out;
}

function keysOf(...pieces: (string | Uint8Array)[]): Key[] {
  const decoder = new KeyDecoder();
  return joined(
    pieces.flatMap((one) => decoder.take(typeof one === "string" ? bytes(one) : one)),
  );
}

const words = (text: string) => keysOf(text).map((one) => "text" in one ? one.text : one.key);

Deno.test("KeyDecoder makes the same of bytes however they are cut", () => {
  const piece = fc.oneof(
    fc.string({ unit: "binary", maxLength: 6 }),
    fc.constantFrom(
      "\x1b[A",
      "\x1b[200~",
      "\x1b[201~",
      "\x1b]0;x\x07",
      "\r",
      "é漢👍",
      "\x1bO",
      "\x03",
    ),
  );
  fc.assert(
    fc.property(fc.array(piece), fc.array(fc.nat({ max: 40 })), (pieces, cuts) => {
      const whole = bytes(pieces.join(""));
      const places = [0, ...cuts.filter((at) => at < whole.length).sort((a, b) => a - b)];
      const cut = places.map((at, n) => whole.subarray(at, places[n + 1] ?? whole.length));
      assert.deepEqual(keysOf(...cut), keysOf(whole));
    }),
  );
});

Deno.test("KeyDecoder gives no text that could harm a terminal, whatever bytes come", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      for (const one of keysOf(noise)) {
        const text = "text" in one ? one.text : "";
        const allowed = one.key === "paste" ? text.replace(/[\r\n\t]/g, "") : text;
        assert.doesNotMatch(allowed, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\ufffd]/u);
      }
    }),
  );
});

Deno.test("KeyDecoder takes Enter and Ctrl-C after any noise: nobody is locked out of their line", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
      const decoder = new KeyDecoder();
      decoder.take(noise);
      // A paste without an end is ended by Ctrl-C.
      assert.ok(decoder.take(bytes("\x03")).some((one) => one.key === "interrupt"));
      assert.deepEqual(joined(decoder.take(bytes("ok\r"))), [
        { key: "text", text: "ok" },
        { key: "enter" },
      ]);
    }),
  );
  for (const stuck of ["\x1b", "\x1b[", "\x1b[1;", "\x1b]0;title", "\x1bP1", "\x1bO"]) {
    assert.deepEqual(words(`${stuck}\r`), ["enter"], JSON.stringify(stuck));
  }
});

Deno.test("KeyDecoder knows the keys of a VT and of a PC, and no other sequence", () => {
  assert.deepEqual(words("\x1b[A\x1bOB\x1b[C\x1b[D\x1b[H\x1bOF\x1b[1~\x1b[4~\x1b[3~"), [
    "up",
    "down",
    "right",
    "left",
    "home",
    "end",
    "home",
    "end",
    "delete",
  ]);
  assert.deepEqual(words("\x01\x05\x0b\x15\x17\x0c\x04\x7f\t"), [
    "home",
    "end",
    "erase_to_end",
    "erase_to_start",
    "erase_word",
    "clear",
    "end_of_input",
    "erase",
    "tab",
  ]);
  assert.deepEqual(words("\x1b[5~\x1b[?1;2c\x1b[999Zx\x1b[31mred\x00\x07\x9b31mq"), ["xred31mq"]);
  assert.deepEqual(words("a\r\nb\nc\r"), ["a", "enter", "b", "enter", "c", "enter"]);
});

Deno.test("KeyDecoder drops what is no UTF-8 and goes on after it", () => {
  const bad = Uint8Array.of(0xff, 0xc3, 0x28, 0xe2, 0x82, 0x61, 0xf5, 0x62);
  assert.deepEqual(keysOf(bad), [{ key: "text", text: "(ab" }]);
});

Deno.test("KeyDecoder keeps the line ends of a paste apart from Enter", () => {
  assert.deepEqual(keysOf("\x1b[200~poweroff\rreboot\n\x1b[31m\x1b[20", "1~x\r"), [
    { key: "paste", text: "poweroff\rreboot\n" },
    { key: "text", text: "x" },
    { key: "enter" },
  ]);
});
