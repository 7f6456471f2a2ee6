import assert from "node:assert/strict";
import { Patience, PATIENCE_MS } from "./patience.ts";

const HANDSHAKE = PATIENCE_MS.handshake ?? 0;
const MESSAGE = PATIENCE_MS.message ?? 0;

Deno.test("Patience runs out over a handshake as a whole, however it comes", () => {
  const patience = new Patience(1000);
  const reader = { phase: "handshake", messages: 0 } as const;
  assert.equal(patience.left(reader, 1000), HANDSHAKE);
  assert.equal(patience.left(reader, 1000 + HANDSHAKE - 1), 1);
  assert.equal(patience.left(reader, 1000 + HANDSHAKE + 5), 0);
});

Deno.test("Patience has no end between messages, and begins anew with each", () => {
  const patience = new Patience(0);
  assert.equal(patience.left({ phase: "idle", messages: 1 }, 10), null);
  assert.equal(patience.left({ phase: "message", messages: 1 }, 1_000_000), MESSAGE);
  assert.equal(patience.left({ phase: "message", messages: 1 }, 1_000_000 + MESSAGE), 0);
  // One ended and the next one began before anybody looked.
  assert.equal(patience.left({ phase: "message", messages: 2 }, 1_000_000 + MESSAGE), MESSAGE);
});
