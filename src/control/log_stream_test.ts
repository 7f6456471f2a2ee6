import assert from "node:assert/strict";
import { LogFollowers } from "./log_stream.ts";

Deno.test("LogFollowers gives each reader the lines from its coming on, and forgets one that is gone", async () => {
  const followers = new LogFollowers();
  followers.push("before");
  const one = followers.follow(2);
  const other = followers.follow(2);
  assert.equal(followers.follow(2), null);
  followers.push("first");
  other?.close();
  assert.equal(await other?.next(), null);
  const again = followers.follow(2);
  followers.push("second");
  const text = (message: unknown) =>
    new TextDecoder().decode((message as { data: Uint8Array }).data);
  assert.equal(text(await one?.next()), "first\nsecond\n");
  assert.equal(text(await again?.next()), "second\n");
});

Deno.test("LogStream of one who does not read loses the oldest and says how many bytes", async () => {
  const stream = new LogFollowers().follow(1);
  for (let n = 0; n < 300; n++) stream?.push("x".repeat(1023));
  const first = await stream?.next();
  assert.deepEqual(first, { lost: 300 * 1024 - 256 * 1024 });
});

Deno.test("LogStream wakes one who waits, and ends one who types", async () => {
  const stream = new LogFollowers().follow(1);
  const waiting = stream?.next();
  stream?.push("line");
  assert.ok("data" in (await waiting ?? {}));
  await stream?.input();
  assert.deepEqual(await stream?.next(), { end: "control.form" });
  await stream?.ended;
});
