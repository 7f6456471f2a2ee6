import assert from "node:assert/strict";
import { KeyQueue } from "./key_queue.ts";

const text = ({ value, done }: IteratorResult<Uint8Array>) =>
  done ? null : new TextDecoder().decode(value);

Deno.test("KeyQueue gives what waits and what comes, and after its end nothing, not even what waited", async () => {
  const keys = new KeyQueue();
  keys.put("ab");
  keys.put("c");
  assert.equal(text(await keys.next()), "abc");
  const later = keys.next();
  keys.put("d");
  assert.equal(text(await later), "d");
  const last = keys.next();
  keys.end();
  assert.equal(text(await last), null);
  keys.put("e");
  assert.equal(text(await keys.next()), null);
  const left = new KeyQueue();
  left.put("secret");
  left.end();
  assert.equal(text(await left.next()), null);
});

Deno.test("KeyQueue keeps a bounded number of bytes, and no half of a key", async () => {
  const keys = new KeyQueue();
  for (let n = 0; n < 10_000; n++) keys.put("\x1b[A");
  const kept = text(await keys.next()) ?? "";
  assert.ok(kept.length <= 4096 && kept.length % 3 === 0);
});
