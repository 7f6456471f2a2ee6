import assert from "node:assert/strict";
import { run } from "@stricli/core";
import { FakeConnection } from "../guest/fake_connection.ts";
import { rayApplication } from "./app.ts";
import type { CliContext } from "./context.ts";

/** What the host answers to each operation. */
const ANSWERS: Readonly<Record<string, unknown>> = {
  "metrics": { text: "# EOF\n" },
  "boot.timeline": {
    boot_id: "b<",
    start: 1,
    version: "1",
    now_ms: 9,
    before: null,
    marks: [{ at: 5, kind: "marker", name: "RAYOS_READY" }],
  },
  "boot.history": [{
    boot_id: "11111111-2222",
    wall: "2026-11-24T12:00:00.000Z",
    mode: "safe",
    ready: true,
    ended: null,
    troubles: ["sig.mismatch"],
  }],
  "crash.list": [],
  "policy.show": { sha256: "a", lines: ["version = 0", "# (not shown)"] },
  "logs.tail": ["mono:1 INFO init word", "mono:2 ERROR vm word vm=demo", "no line\x1b[2J"],
};

async function ray(...words: string[]) {
  const out = { text: "", errors: "", files: new Map<string, string>(), asked: [] as string[] };
  const process: CliContext["process"] = {
    stdout: { write: (text) => out.text += text },
    stderr: { write: (text) => out.errors += text },
  };
  const connect = () => {
    const connection = new FakeConnection();
    connection.onWrite = (text) => {
      const { op, id, args } = JSON.parse(text);
      out.asked.push(`${op} ${JSON.stringify(args)}`);
      const known = Object.hasOwn(ANSWERS, op);
      const answer = known ? { ok: true, result: ANSWERS[op] } : {
        ok: false,
        error: { rule: "op.unknown", detail: op },
      };
      connection.feed(`${JSON.stringify({ v: 0, id, ...answer })}\n`);
    };
    return Promise.resolve(connection);
  };
  const context = {
    process,
    host: { connect },
    desk: { write: (path: string, text: string) => out.files.set(path, text) },
  } as unknown as CliContext;
  await run(rayApplication("1"), words, context);
  return { ...out, exit: process.exitCode };
}

Deno.test("ray metrics prints the text as it is, and as JSON when asked", async () => {
  assert.equal((await ray("metrics")).text, "# EOF\n");
  assert.deepEqual(JSON.parse((await ray("metrics", "--json")).text), { text: "# EOF\n" });
});

Deno.test("ray boot chart writes a drawing to a file or prints it", async () => {
  assert.match((await ray("boot", "chart")).text, /^<svg [^]*RAYOS_READY[^]*<\/svg>\n$/);
  const { text, files } = await ray("boot", "chart", "--out", "boot.svg");
  assert.equal(text, "");
  assert.match(files.get("boot.svg") ?? "", /boot b&lt;/);
});

Deno.test("ray boot history says what each boot came to, in 80 columns", async () => {
  const { text } = await ray("boot", "history");
  assert.match(text, /11111111 safe, ready, runs, or was cut off:/);
  for (const line of text.split("\n")) assert.ok(line.length < 80);
});

Deno.test("ray logs shows the last lines, of a level or a guest, escaped, or as JSON", async () => {
  assert.equal(
    (await ray("logs")).text,
    "mono:1 INFO init word\nmono:2 ERROR vm word vm=demo\nno line\\u001b[2J\n",
  );
  assert.equal((await ray("logs", "--level", "warn")).text, "mono:2 ERROR vm word vm=demo\n");
  assert.equal((await ray("logs", "--vm", "demo")).text, "mono:2 ERROR vm word vm=demo\n");
  const { text, asked } = await ray("logs", "--json", "--vm", "demo");
  assert.deepEqual(JSON.parse(text), {
    ts: "mono:2",
    level: "error",
    component: "vm",
    event: "word",
    fields: { vm: "demo" },
  });
  assert.deepEqual(asked, ['logs.tail {"lines":500}']);
});

Deno.test("ray crash list, keys and policy show print what the host answers, or its denial", async () => {
  assert.equal((await ray("crash", "list")).text, "none\n");
  assert.match((await ray("policy", "show")).text, /version = 0\n {2}# \(not shown\)\n/);
  const { exit, errors } = await ray("keys");
  assert.deepEqual([exit, errors], [1, "rayos: keys.list: denied by op.unknown: keys.list\n"]);
});
