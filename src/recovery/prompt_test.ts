import assert from "node:assert/strict";
import fc from "fast-check";
import { onLine, renderWhy, type Why } from "./prompt.ts";

const WHY: Why = {
  mode: "safe",
  troubles: [{ code: "sig.mismatch", text: "expected a, found b", hint: "sign again" }],
};

Deno.test("renderWhy says what is wrong, in words, and what to do", () => {
  const text = renderWhy(WHY);
  assert.match(text, /safe mode/);
  assert.match(text, /sig\.mismatch: expected a, found b\n {4}-> sign again/);
});

Deno.test("onLine knows its commands and no other, whatever blanks stand around them", () => {
  const actions = ["status", "log", "retry", "reboot", "poweroff"].map((word) =>
    onLine(`  ${word}\t`, WHY).action
  );
  assert.deepEqual(actions, ["status", "log", "retry", "power.reboot", "power.off"]);
  assert.match(onLine("help", WHY).text, /poweroff/);
  assert.equal(onLine("why", WHY).text, renderWhy(WHY));
  assert.deepEqual(onLine("", WHY), { action: "none", text: "" });
});

Deno.test("onLine does nothing by any other line, and echoes nothing that moves a cursor", () => {
  const known = ["why", "status", "log", "retry", "reboot", "poweroff", "help"];
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (line) => {
      fc.pre(!known.includes(line.trim()));
      const { action, text } = onLine(line, WHY);
      assert.equal(action, "none");
      // The only control character is the line end.
      assert.doesNotMatch(text, /[^\P{Cc}\n]|\p{Cf}/u);
    }),
  );
});
