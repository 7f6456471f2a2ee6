import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeConnection } from "../guest/fake_connection.ts";
import type { Connection, Host, Listener } from "../host/port.ts";
import { LINE_CAP, parseRequest, parseResponse, renderMessage, response } from "./protocol.ts";
import { type Handler, serveControl } from "./server.ts";
import { until } from "../../test/turns.ts";

/** A host whose one socket is the control socket. */
class ControlHost {
  #waiting: ((client: Connection | null) => void) | null = null;
  readonly #clients: (Connection | null)[] = [];

  listen(path: string): Promise<Listener> {
    assert.equal(path, "/run/rayos/control.sock");
    return Promise.resolve({
      accept: () => {
        const client = this.#clients.shift();
        if (client !== undefined) return Promise.resolve(client);
        return new Promise((resolve) => this.#waiting = resolve);
      },
      close: () => this.arrive(null),
    });
  }

  arrive(client: Connection | null): void {
    if (this.#waiting !== null) {
      const waiting = this.#waiting;
      this.#waiting = null;
      waiting(client);
    } else this.#clients.push(client);
  }
}

const echo: Handler = (op, args) =>
  op === "status"
    ? { ok: true, result: args }
    : { ok: false, rule: "op.unknown", detail: `no operation ${op}` };

/** What the server answers to these bytes, one parsed response a line. */
async function answersTo(bytes: string | Uint8Array, count: number): Promise<unknown[]> {
  const host = new ControlHost();
  const listener = await serveControl(host as unknown as Host, echo);
  const client = new FakeConnection();
  host.arrive(client);
  client.feed(bytes);
  await until(() => client.written.length >= count);
  client.feed(null);
  listener.close();
  return client.written.map((text) => JSON.parse(text));
}

const ASK = '{"v":0,"id":"7","op":"status","args":{"a":1}}\n';
const ANSWER = { v: 0, id: "7", ok: true, result: { a: 1 } };

Deno.test("serveControl answers a request with its own id", async () => {
  assert.deepEqual(await answersTo(ASK, 1), [ANSWER]);
});

const BAD: readonly [what: string, line: string | Uint8Array][] = [
  ["no JSON", "hello\n"],
  ["half a line", '{"v":0,"id":\n'],
  ["an empty line", "\n"],
  ["no object", "[1]\n"],
  ["null", "null\n"],
  ["another version", '{"v":1,"id":"1","op":"status","args":{}}\n'],
  ["an unknown field", '{"v":0,"id":"1","op":"status","args":{},"sudo":true}\n'],
  ["a number for an id", '{"v":0,"id":1,"op":"status"}\n'],
  ["an id of 65 characters", `{"v":0,"id":"${"x".repeat(65)}","op":"status"}\n`],
  ["no op", '{"v":0,"id":"1"}\n'],
  [
    "arguments with a name that would be left out",
    '{"v":0,"id":"1","op":"status","args":{"constructor":1}}\n',
  ],
  ["arguments with a prototype", '{"v":0,"id":"1","op":"status","args":{"__proto__":{}}}\n'],
  ["arguments that are no object", '{"v":0,"id":"1","op":"status","args":"x"}\n'],
  ["bytes that are no UTF-8", new Uint8Array([0xc3, 0x28, 0x0a])],
  ["a line beyond the cap", `${"x".repeat(LINE_CAP + 1)}\n`],
];
for (const [what, line] of BAD) {
  Deno.test(`serveControl answers ${what} with control.form and goes on`, async () => {
    const bytes = typeof line === "string" ? new TextEncoder().encode(line) : line;
    const whole = new Uint8Array([...bytes, ...new TextEncoder().encode(ASK)]);
    const [first, second] = await answersTo(whole, 2);
    const { ok, error } = first as { ok: boolean; error: { rule: string } };
    assert.equal(ok, false);
    assert.equal(error.rule, "control.form");
    assert.deepEqual(second, ANSWER);
  });
}

Deno.test("serveControl names an unknown op by the handler's own rule", async () => {
  const [answer] = await answersTo('{"v":0,"id":"1","op":"vm.fly"}\n', 1);
  assert.deepEqual(answer, {
    v: 0,
    id: "1",
    ok: false,
    error: { rule: "op.unknown", detail: "no operation vm.fly" },
  });
});

Deno.test("serveControl serves others while one client is silent, and lets the 65th go", async () => {
  const host = new ControlHost();
  const listener = await serveControl(host as unknown as Host, echo);
  const silent = Array.from({ length: 63 }, () => new FakeConnection());
  for (const one of silent) host.arrive(one);
  const asking = new FakeConnection();
  host.arrive(asking);
  const late = new FakeConnection();
  host.arrive(late);
  asking.feed(ASK);
  await until(() => asking.written.length > 0);
  assert.deepEqual(JSON.parse(asking.written[0] ?? ""), ANSWER);
  assert.ok(late.closed);
  assert.ok(silent.every((one) => !one.closed));
  for (const one of [...silent, asking]) one.feed(null);
  listener.close();
});

Deno.test("parseRequest takes any text without throwing", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseRequest(text)));
});

Deno.test("parseRequest takes a request of the contract's shape as it is, and none with a field too much, missing or of another type", () => {
  const word = fc.string({ maxLength: 64 });
  const safe = fc.string().filter((name) => !(name in {}) && name !== "prototype");
  const request = fc.record({
    v: fc.constant(0),
    id: word,
    op: word,
    args: fc.dictionary(safe, fc.jsonValue()),
  });
  const name = fc.constantFrom("v", "id", "op", "args");
  fc.assert(fc.property(request, (good) => {
    const parsed = parseRequest(JSON.stringify(good));
    assert.ok(parsed.ok);
    assert.equal(JSON.stringify(parsed.request), JSON.stringify(good));
  }));
  const isOther: Record<string, (value: unknown) => boolean> = {
    v: (value) => value !== 0,
    id: (value) => typeof value !== "string",
    op: (value) => typeof value !== "string",
    args: (value) => typeof value !== "object" || value === null || Array.isArray(value),
  };
  fc.assert(fc.property(request, name, fc.jsonValue(), (good, field, value) => {
    fc.pre(isOther[field]?.(value) ?? false);
    assert.ok(!parseRequest(JSON.stringify({ ...good, [field]: value })).ok, field);
  }));
  fc.assert(fc.property(request, safe, fc.jsonValue(), (good, field, value) => {
    fc.pre(!(field in good));
    assert.ok(!parseRequest(JSON.stringify({ ...good, [field]: value })).ok, field);
  }));
  for (const field of ["v", "id", "op"]) {
    const { [field]: _, ...rest } = { v: 0, id: "7", op: "status" } as Record<string, unknown>;
    assert.ok(!parseRequest(JSON.stringify(rest)).ok, field);
  }
  assert.ok(!parseRequest(JSON.stringify({ v: 0, id: "7", op: "o".repeat(65) })).ok);
});

Deno.test("parseResponse reads what renderMessage wrote, and nothing else", () => {
  for (
    const one of [
      response("1", { ok: true, result: [1] }),
      response("", { ok: false, rule: "a.b", detail: "c" }),
    ]
  ) {
    assert.deepEqual(parseResponse(renderMessage(one)), one);
  }
  for (const text of ["", "{}", '{"v":0,"id":"1","ok":true}', '{"v":0,"id":"1","ok":false}']) {
    assert.equal(parseResponse(text), null);
  }
});
