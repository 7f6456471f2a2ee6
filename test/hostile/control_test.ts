/**
 * The control socket as its callers could ill-use it: a thousand at once, half lines, clients that never read,
 * and callers that are not root. The server is a process of its own on a real socket.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { ignore } from "./launcher_root.ts";

const PROGRAM = `${import.meta.dirname}/descriptors_server.ts`;
const PATIENCE_MS = 60_000;
const encode = (text: string) => new TextEncoder().encode(text);
const REQUEST = encode('{"v":0,"id":"1","op":"status","args":{}}\n');
const PERL = "/usr/bin/perl";

async function withServer(work: (socket: string, pid: number) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "rayos-control-" });
  const socket = `${dir}/control.sock`;
  // The folder is open to everybody here, so that the socket's own mode is what is tried.
  await Deno.chmod(dir, 0o711);
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-lock", "-A", PROGRAM, socket],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const said = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    assert.equal((await said.read()).value, "listens\n");
    await work(socket, server.pid);
  } finally {
    server.kill("SIGKILL");
    await server.stdin.close().catch(() => {});
    await said.cancel();
    await server.status;
    await Deno.remove(dir, { recursive: true });
  }
}

const connect = (path: string) => Deno.connect({ transport: "unix", path });

/** Asks until it is answered: one that comes while too many are there is let go, and comes again. */
async function isAnswered(socket: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end) {
    try {
      using client = await connect(socket);
      await client.write(REQUEST);
      const bytes = new Uint8Array(256);
      const count = await client.read(bytes) ?? 0;
      if (count > 0) {
        assert.match(new TextDecoder().decode(bytes.subarray(0, count)), /"ok":true/);
        return;
      }
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      // Let go, or reset in the middle of it.
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail("nobody is answered any more");
}

/** What a tool says of a path that only a program with every permission opens itself. */
function said(tool: string, path: string): string {
  return new TextDecoder().decode(new Deno.Command(tool, { args: [path] }).outputSync().stdout);
}
const memoryKiB = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(said("cat", `/proc/${pid}/status`))?.[1]);
const descriptors = (pid: number) => said("ls", `/proc/${pid}/fd`).trim().split("\n").length;

Deno.test("a thousand clients at once, silent or in the middle of a line, leave nothing behind and hold nobody up", async () => {
  await withServer(async (socket, pid) => {
    await isAnswered(socket);
    const [descriptorsBefore, memoryBefore] = [descriptors(pid), memoryKiB(pid)];
    const clients: Deno.Conn[] = [];
    for (let n = 0; n < 1000; n++) {
      try {
        const client = await connect(socket);
        clients.push(client);
        // Half a line, of half of them; whoever was let go already cannot write.
        if (n % 2 === 0) {
          await client.write(REQUEST.subarray(0, n % REQUEST.length)).catch(() => {});
        }
      } catch {
        // The backlog is full: the kernel says so to the client alone.
      }
    }
    assert.ok(clients.length >= 500, `${clients.length} came in`);
    assert.ok(descriptors(pid) <= descriptorsBefore + 64 + 8, "64 are served, the rest is let go");
    for (const client of clients) client.close();
    await isAnswered(socket);
    assert.ok(descriptors(pid) <= descriptorsBefore + 8, "what was let go is closed");
    assert.ok(memoryKiB(pid) < memoryBefore + 64 * 1024, "no more than 64 lines' room is kept");
  });
});

Deno.test("a client that asks and never reads is let go, and others are answered meanwhile", async () => {
  await withServer(async (socket, pid) => {
    await isAnswered(socket);
    const before = descriptors(pid);
    using greedy = await connect(socket);
    // Its answers fill the socket's room after some thousand requests; then its requests wait as well.
    const flood = (async () => {
      const many = encode(new TextDecoder().decode(REQUEST).repeat(200));
      try {
        while (true) await greedy.write(many);
      } catch {
        // Let go.
      }
    })();
    for (let n = 0; n < 20; n++) await isAnswered(socket);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("it was never let go")), PATIENCE_MS);
    });
    await Promise.race([flood, late]).finally(() => clearTimeout(timer));
    assert.ok(descriptors(pid) <= before + 1);
    await isAnswered(socket);
  });
});

Deno.test({
  name: "a process of another uid cannot connect, and root's can",
  ignore: ignore || !fs.existsSync(PERL),
  async fn() {
    await withServer(async (socket) => {
      const script = "socket(S, PF_UNIX, SOCK_STREAM, 0) or die; " +
        'print connect(S, sockaddr_un($ARGV[0])) ? "connected" : "refused: $!"';
      const as = async (uid: number) => {
        const words = ["--reuid", `${uid}`, "--regid", `${uid}`, "--clear-groups"];
        const { stdout } = await new Deno.Command("setpriv", {
          args: [...words, PERL, "-MSocket", "-e", script, socket],
        }).output();
        return new TextDecoder().decode(stdout);
      };
      assert.equal(await as(61000), "refused: Permission denied");
      assert.equal(await as(65534), "refused: Permission denied");
      assert.equal(await as(0), "connected");
    });
  },
});
