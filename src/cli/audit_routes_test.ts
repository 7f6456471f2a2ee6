import assert from "node:assert/strict";
import { run } from "@stricli/core";
import { encodeKeyState } from "../audit/key_state.ts";
import { KEY, sampleLog } from "../audit/testdata/sample_log.ts";
import { keyText } from "../audit/verification_key.ts";
import { FakeConnection } from "../guest/fake_connection.ts";
import { rayApplication } from "./app.ts";
import { sinceOf } from "./audit_routes.ts";
import type { CliContext } from "./context.ts";

const FOLDER = "/copy/logs/audit";
const log = sampleLog(200);

/** Files of a copied disk. */
function copy(): Map<string, Uint8Array> {
  const files = new Map(log.parts.map(({ name, bytes }) => [`${FOLDER}/${name}`, bytes]));
  return files.set(`${FOLDER}/../../boot/audit.key`, encodeKeyState(log.state));
}

async function audit(words: readonly string[], files = copy(), result: unknown = {}) {
  const said = { code: 0, stdout: "", stderr: "" };
  const asked: { op: string; args: unknown }[] = [];
  const process = {
    stdout: { write: (text: string) => said.stdout += text },
    stderr: { write: (text: string) => said.stderr += text },
    exitCode: 0,
  };
  const context = {
    process,
    desk: {
      readOptional: (path: string) => files.get(path) ?? null,
      read: (path: string) => files.get(path),
      writeSecret: (path: string, bytes: Uint8Array) => files.set(path, bytes),
      now: () => new Date("2026-11-24T12:00:00Z"),
      random: (count: number) => new Uint8Array(count).fill(7),
    },
    host: {
      list: (path: string) =>
        [...files.keys()].filter((one) => one.startsWith(`${path}/audit-`))
          .map((one) => one.slice(path.length + 1)),
      connect: () => {
        const connection = new FakeConnection();
        connection.onWrite = (text) => {
          const { op, args, id } = JSON.parse(text);
          asked.push({ op, args });
          connection.feed(`${JSON.stringify({ v: 0, id, ok: true, result })}\n`);
        };
        return Promise.resolve(connection);
      },
    },
  } as unknown as CliContext;
  await run(rayApplication("1"), ["audit", ...words], context);
  return { ...said, code: Number(process.exitCode), asked, files };
}

Deno.test("ray audit verify of a folder says good with the key, and what it rests on", async () => {
  const { code, stdout } = await audit(["verify", FOLDER, "--key", keyText(KEY)]);
  assert.deepEqual([code, stdout], [
    0,
    "3 files, records 1 to 200, the last of 2026-11-24T12:00:00.000Z\n" +
    "good: they follow each other without a gap, each made with the key that only the host of its " +
    "time had\n",
  ]);
});

Deno.test("ray audit verify names the first bad record, and exits 1", async () => {
  const files = copy();
  const name = `${FOLDER}/audit-000002.jsonl`;
  const bytes = Uint8Array.from(files.get(name) ?? []);
  bytes[2000] = (bytes[2000] ?? 0) ^ 1;
  files.set(name, bytes);
  const { code, stdout } = await audit(["verify", FOLDER, "--key", keyText(KEY)], files);
  assert.equal(code, 1);
  assert.match(stdout, /BAD: audit\.\w+ at audit-000002\.jsonl, line 7, record 87: /);
  assert.match(stdout, /the 86 records from 1 to 86 follow each other, each made with the key/);
  assert.match(stdout, /behind it 113 records are the host's own each for itself/);
  const json = await audit(["verify", FOLDER, "--key", keyText(KEY), "--json"], files);
  assert.deepEqual([json.code, JSON.parse(json.stdout).bad.seq], [1, 87]);
});

Deno.test("ray audit verify without an anchor says that it claims no more", async () => {
  const { code, stdout } = await audit(["verify", FOLDER]);
  assert.equal(code, 0);
  assert.match(stdout, /NOT ANCHORED: whoever could write to the disk could have made such a log/);
  const head = await audit(["head", FOLDER]);
  const anchored = await audit(["verify", FOLDER, "--head", head.stdout.trim()]);
  assert.doesNotMatch(anchored.stdout, /NOT ANCHORED/);
  assert.match(anchored.stdout, /up to the given head nothing was changed/);
});

Deno.test("ray audit verify refuses a key or head that is none as misuse, and repeats no key", async () => {
  const wrong = keyText(KEY).replace(/^./, (letter) => letter === "A" ? "B" : "A");
  const { code, stderr } = await audit(["verify", FOLDER, "--key", wrong]);
  assert.equal(code, 2);
  assert.ok(!stderr.includes(wrong));
  assert.equal((await audit(["verify", FOLDER, "--head", "12"])).code, 2);
  assert.equal((await audit(["verify", FOLDER, "--state", "/nothing"])).code, 3);
});

Deno.test("ray audit verify of the running host sends no key, only a head", async () => {
  const report = JSON.parse((await audit(["verify", FOLDER, "--json"])).stdout);
  const head = `1:${"0".repeat(64)}`;
  const asked = await audit(["verify", "--head", head], copy(), { ...report, writable: true });
  assert.deepEqual(asked.asked, [{ op: "audit.verify", args: { head } }]);
  const keyed = await audit(["verify", "--key", keyText(KEY)]);
  assert.deepEqual(keyed.asked, []);
});

Deno.test("ray audit show filters by guest, rule and time, from a folder and from the host", async () => {
  const shown = await audit(["show", FOLDER, "--vm", "guest-1", "--lines", "3"]);
  const lines = shown.stdout.trimEnd().split("\n");
  assert.equal(lines.length, 3);
  assert.match(lines[2] ?? "", /^197 2026-11-24T12:00:17\.000Z .* vm=guest-1$/);
  const rule = await audit(["show", FOLDER, "--rule", "audit_deny", "--json", "--lines", "500"]);
  const found = JSON.parse(rule.stdout) as { event: string }[];
  assert.ok(found.length > 50 && found.every((one) => one.event === "audit_deny"));
  const host = await audit(["show", "--since", "2h", "--vm", "x"], copy(), []);
  assert.deepEqual(host.asked, [
    { op: "audit.show", args: { limit: 100, vm: "x", since: "2026-11-24T10:00:00.000Z" } },
  ]);
  assert.equal(host.stdout, "no such record\n");
  assert.equal((await audit(["show", "--since", "yesterday"])).code, 2);
  assert.equal((await audit(["show", "--lines", "0"])).code, 2);
});

Deno.test("ray audit show lets no record move the cursor or make a line", async () => {
  const record = { seq: 1, time: "t", event: "e", data: { vm: "a\u001b[2J\n2 forged" } };
  const { stdout } = await audit(["show"], copy(), [record]);
  assert.equal(stdout, "1 t e vm=a\\u001b[2J\\u000a2 forged\n");
});

Deno.test("ray audit prepare writes a key state that a host goes on with, and shows the key once", async () => {
  const { code, stdout, files } = await audit(["prepare", "/disk/audit.key", "--json"]);
  const { key, fingerprint } = JSON.parse(stdout);
  assert.equal(code, 0);
  assert.equal(key, keyText(new Uint8Array(32).fill(7)));
  const state = files.get("/disk/audit.key") ?? new Uint8Array();
  assert.equal(state.length, 1024);
  const hex = Array.from(state, (byte) => byte.toString(16).padStart(2, "0")).join("");
  assert.ok(hex.includes(fingerprint) && !hex.includes("07".repeat(32)));
});

Deno.test("sinceOf takes a time or how long ago, and nothing else", () => {
  const now = new Date("2026-11-24T12:00:00Z");
  assert.equal(sinceOf("30m", now)?.toISOString(), "2026-11-24T11:30:00.000Z");
  assert.equal(sinceOf("2026-11-01", now)?.toISOString(), "2026-11-01T00:00:00.000Z");
  for (const text of ["", "2", "2w", "1", "tomorrow"]) assert.equal(sinceOf(text, now), null, text);
});
