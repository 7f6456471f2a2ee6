import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeConnection } from "../guest/fake_connection.ts";
import { type ClientMessage, encodeMessage, say } from "./rfb_messages.ts";

const hex = (message: ClientMessage) =>
  [...encodeMessage(message)].map((one) => one.toString(16).padStart(2, "0")).join(" ");

Deno.test("encodeMessage makes what RFC 6143 says", () => {
  assert.equal(hex({ say: "version" }), "52 46 42 20 30 30 33 2e 30 30 38 0a");
  assert.equal(hex({ say: "no_security" }), "01");
  assert.equal(hex({ say: "begin_alone" }), "00");
  assert.equal(
    hex({ say: "pixel_format" }),
    "00 00 00 00 20 18 00 01 00 ff 00 ff 00 ff 10 08 00 00 00 00",
  );
  assert.equal(
    hex({ say: "encodings" }),
    "02 00 00 04 00 00 00 00 00 00 00 01 ff ff ff 11 ff ff ff 21",
  );
  assert.equal(
    hex({ say: "update", incremental: true, width: 1280, height: 800 }),
    "03 01 00 00 00 00 05 00 03 20",
  );
});

/** Bytes after the type of each message that a server reads once both have begun; null: as it says itself. */
const LENGTHS: Readonly<Record<number, number>> = { 0: 20, 2: 20, 3: 10 };
const INPUT = { key: 4, pointer: 5, text: 6 };

Deno.test("nothing that can be said to a server is a key, a pointer or a text, however it is read", async () => {
  const update = fc.record({
    say: fc.constant("update" as const),
    incremental: fc.boolean(),
    width: fc.double(),
    height: fc.double(),
  });
  const message: fc.Arbitrary<ClientMessage> = fc.oneof(
    update,
    fc.constantFrom<ClientMessage>({ say: "pixel_format" }, { say: "encodings" }),
  );
  await fc.assert(fc.asyncProperty(fc.array(message, { maxLength: 20 }), async (messages) => {
    const connection = new FakeConnection();
    await say(connection, messages);
    // As the server reads it: one type after the other, each with its length.
    const stream = connection.written.join("");
    for (let at = 0; at < stream.length;) {
      const type = stream.charCodeAt(at);
      assert.ok(!Object.values(INPUT).includes(type));
      const length = LENGTHS[type];
      assert.ok(length !== undefined, `type ${type}`);
      at += length;
      assert.ok(at <= stream.length);
    }
  }));
});
