import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { cpio, type CpioEntry } from "./cpio.ts";

const ROOT = { uid: 0, gid: 0 } as const;

function bytesOf(entries: CpioEntry[]): Uint8Array {
  const chunks = [...cpio(entries)];
  const all = new Uint8Array(chunks.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of chunks) {
    all.set(one, at);
    at += one.length;
  }
  return all;
}

/** What a reader that is not ours makes of an archive; paths are relative there. */
async function unpacked(entries: CpioEntry[], use: (dir: string) => void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "rayos-test-" });
  try {
    await Deno.writeFile(`${dir}/archive`, bytesOf(entries));
    const command = "mkdir out && cd out && busybox cpio -idm < ../archive";
    const done = spawnSync("sh", ["-c", command], { cwd: dir });
    assert.equal(done.status, 0, String(done.stderr));
    use(`${dir}/out`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const file = (path: string, text: string, same: string, mode = 0o644): CpioEntry => ({
  ...ROOT,
  path,
  mode,
  kind: "file",
  data: new TextEncoder().encode(text),
  same,
});

Deno.test("cpio is read by busybox: files, directories, links, modes", async () => {
  const entries: CpioEntry[] = [
    { ...ROOT, path: "/etc", mode: 0o755, kind: "dir" },
    file("/etc/a", "hello\n", "a"),
    file("/etc/empty", "", "empty", 0o700),
    { ...ROOT, path: "/etc/link", mode: 0o777, kind: "link", target: "a" },
  ];
  await unpacked(entries, (out) => {
    assert.equal(Deno.readTextFileSync(`${out}/etc/a`), "hello\n");
    assert.equal(Deno.statSync(`${out}/etc/empty`).size, 0);
    assert.equal((Deno.statSync(`${out}/etc/empty`).mode ?? 0) & 0o777, 0o700);
    assert.equal(Deno.readLinkSync(`${out}/etc/link`), "a");
  });
});

Deno.test("cpio writes names of one file once and links them", async () => {
  const twice = [file("/a", "x".repeat(1000), "s"), file("/b", "x".repeat(1000), "s")];
  const once = bytesOf([file("/a", "x".repeat(1000), "s")]).length;
  assert.ok(bytesOf(twice).length < once + 200);
  await unpacked(twice, (out) => {
    assert.equal(Deno.statSync(`${out}/a`).ino, Deno.statSync(`${out}/b`).ino);
    assert.equal(Deno.readTextFileSync(`${out}/b`), "x".repeat(1000));
  });
});

Deno.test("cpio keeps every header and content on a boundary of four bytes", () => {
  fc.assert(fc.property(
    fc.array(fc.record({ name: fc.stringMatching(/^[a-z]{1,9}$/), size: fc.nat(9) })),
    (list) => {
      const entries = list.map(({ name, size }, n) =>
        file(`/${n}${name}`, "x".repeat(size), `${n}`)
      );
      const bytes = bytesOf(entries);
      assert.equal(bytes.length % 4, 0);
      const text = new TextDecoder("latin1").decode(bytes);
      const heads = [...text.matchAll(/070701[0-9A-F]{104}/g)].map((one) => one.index);
      assert.equal(heads.length, list.length + 1);
      assert.ok(heads.every((at) => at % 4 === 0));
    },
  ));
});
