import assert from "node:assert/strict";
import fc from "fast-check";
import type { Key } from "../guest/input.ts";
import { chordsOf, EVERY_KEY } from "../presentation/keys.ts";
import { CONFIRMATION } from "../presentation/status_text.ts";
import { bytesOf, lookingBackOf, Question } from "./host_keys.ts";
import { KeyDecoder } from "./keys.ts";

const press = (key: Key, ...held: Key[]) => ({ key, held });
/** A text as it is typed on a US keyboard: the last key of each chord, with those before it held. */
const typed = (text: string) =>
  (chordsOf(text) ?? []).map((chord) => ({ key: chord.at(-1) as Key, held: chord.slice(0, -1) }));

Deno.test("bytesOf gives every character of a US keyboard that a text can be typed with", () => {
  const ascii = Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n)).join("");
  assert.equal(typed(ascii).length, 95);
  assert.equal(typed(ascii).map(bytesOf).join(""), ascii);
});

Deno.test("bytesOf gives the line editor its keys, and Ctrl with a letter a control character", () => {
  const keys = (bytes: string) =>
    new KeyDecoder().take(new TextEncoder().encode(bytes)).map((one) => one.key);
  const named: [Parameters<typeof press>, string][] = [
    [["key:ret"], "enter"],
    [["key:kp_enter"], "enter"],
    [["key:tab"], "tab"],
    [["key:backspace"], "erase"],
    [["key:delete"], "delete"],
    [["key:up"], "up"],
    [["key:down"], "down"],
    [["key:left"], "left"],
    [["key:right"], "right"],
    [["key:home"], "home"],
    [["key:end"], "end"],
    [["key:left", "key:ctrl"], "word_left"],
    [["key:right", "key:ctrl_r"], "word_right"],
    [["key:c", "key:ctrl"], "interrupt"],
    [["key:c", "key:shift", "key:ctrl"], "interrupt"],
    [["key:d", "key:ctrl_r"], "end_of_input"],
    [["key:l", "key:ctrl"], "clear"],
    [["key:b", "key:alt"], "word_left"],
  ];
  for (const [pressed, wanted] of named) {
    assert.deepEqual(keys(bytesOf(press(...pressed))), [wanted], pressed.join(" "));
  }
});

Deno.test("bytesOf of a chord of Ctrl and Alt, of Meta, a button or a key without a sign is nothing", () => {
  const silent: Parameters<typeof press>[] = [
    ["key:a", "key:ctrl", "key:alt"],
    ["key:a", "key:meta_l"],
    ["key:bracket_left", "key:ctrl"],
    ["key:esc"],
    ["key:f1"],
    ["key:shift"],
    ["button:left"],
    ["key:pgup"],
  ];
  for (const one of silent) assert.equal(bytesOf(press(...one)), "", one.join(" "));
  assert.equal(lookingBackOf(press("key:pgup")), "page_up");
  assert.equal(lookingBackOf(press("key:up")), null);
});

Deno.test("bytesOf of any keys is one key of the line editor, or none: nothing can be pasted or begun by it", () => {
  const keys = fc.constantFrom(...EVERY_KEY);
  fc.assert(
    fc.property(keys, fc.array(keys, { maxLength: 4 }), (key, held) => {
      const decoder = new KeyDecoder();
      const said = decoder.take(new TextEncoder().encode(bytesOf({ key, held })));
      assert.ok(said.length <= 1 && said[0]?.key !== "paste");
      // No sequence is left open: the next character is itself.
      assert.deepEqual(decoder.take(new TextEncoder().encode("x")), [{ key: "text", text: "x" }]);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("Question is confirmed by a line that is exactly the word, and by no other", () => {
  const confirmed = (text: string) => {
    const question = new Question();
    return typed(text).map((one) => question.take(one)).indexOf(true);
  };
  assert.equal(confirmed(`${CONFIRMATION}\n`), CONFIRMATION.length);
  assert.equal(confirmed(`my secret\n${CONFIRMATION}\n`), 10 + CONFIRMATION.length);
  for (
    const text of [
      "\n",
      "recover\n",
      "recoverx\n",
      "recoveryy\n",
      "rrecovery\n",
      "xrecovery\n",
      "Recovery\n",
      " recovery\n",
      "recovery ",
    ]
  ) assert.equal(confirmed(text), -1, text);
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constant(CONFIRMATION), fc.stringMatching(/^[ -~]{0,12}$/))),
      fc.stringMatching(/^[rec]{0,3}$/),
      (lines, rest) => {
        const text = [...lines, rest].join("\n");
        assert.equal(confirmed(text) >= 0, lines.includes(CONFIRMATION));
      },
    ),
  );
});
