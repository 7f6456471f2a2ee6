/**
 * The control socket of a program that has no descriptor left: who connects waits, and is answered once
 * there is one again. The limit is the kernel's own, of a process of its own.
 */
import assert from "node:assert/strict";

const PROGRAM = `${import.meta.dirname}/descriptors_server.ts`;
/** Enough for the runtime itself. */
const DESCRIPTORS = 64;
const PATIENCE_MS = 30_000;
const REQUEST = '{"v":0,"id":"1","op":"status","args":{}}\n';

Deno.test("serveControl outlives a time without descriptors, and answers who came in it", async () => {
  const dir = await Deno.makeTempDir({ prefix: "rayos-descriptors-" });
  const socket = `${dir}/control.sock`;
  const run = `ulimit -n ${DESCRIPTORS}; exec "$@"`;
  const deno = [Deno.execPath(), "run", "-q", "--no-lock", "-A", PROGRAM, socket];
  await using server = new Deno.Command("sh", {
    args: ["-c", run, "sh", ...deno],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const said = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const orders = server.stdin.getWriter();
  const order = async (word: string, answer: string) => {
    await orders.write(new TextEncoder().encode(word));
    assert.equal((await said.read()).value, `${answer}\n`);
  };
  try {
    assert.equal((await said.read()).value, "listens\n");
    await order("fill", "full");
    using client = await Deno.connect({ transport: "unix", path: socket });
    await client.write(new TextEncoder().encode(REQUEST));
    const bytes = new Uint8Array(256);
    const answer = client.read(bytes);
    let answered = false;
    answer.then(() => answered = true, () => {});
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.equal(answered, false, "it had a descriptor left");
    await order("free", "free");
    const late = new Promise<never>((_, reject) => {
      const timer = setTimeout(() => reject(new Error("it accepts nobody any more")), PATIENCE_MS);
      answer.finally(() => clearTimeout(timer)).catch(() => {});
    });
    const count = await Promise.race([answer, late]);
    const { ok, result } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, count ?? 0)));
    assert.deepEqual([ok, result], [true, "here"]);
  } finally {
    await orders.close();
    await said.cancel();
    await Deno.remove(dir, { recursive: true });
  }
});
