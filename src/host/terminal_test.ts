import assert from "node:assert/strict";
import { SecretLine } from "./terminal.ts";

function typed(text: string): string | null {
  const line = new SecretLine();
  for (const byte of new TextEncoder().encode(text)) {
    const taken = line.take(byte);
    if (taken === "interrupted") return taken;
    if (taken !== null) return new TextDecoder().decode(taken);
  }
  return null;
}

Deno.test("SecretLine gives what was typed at Enter, with what was erased left out", () => {
  assert.equal(typed("secret\r"), "secret");
  assert.equal(typed("sex\x7fcret\n"), "secret");
  assert.equal(typed("schlüß\x7f\x7f\x08x\r"), "schx");
  assert.equal(typed("wrong\x15right\r"), "right");
  assert.equal(typed("\x7f\x7f\r"), "");
  assert.equal(typed("open"), null);
});

Deno.test("SecretLine ends at Ctrl-C with nothing", () => {
  assert.equal(typed("sec\x03ret\r"), "interrupted");
});
