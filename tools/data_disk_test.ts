import assert from "node:assert/strict";
import { checkDataDisk, listDataDisk, makeDataDisk, readDataDisk } from "./data_disk.ts";
import { sha256File, ToolError } from "./build_host.ts";

async function disk(use: (path: string) => void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "rayos-test-" });
  try {
    use(`${dir}/disk.img`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const text = (bytes: Uint8Array | null) => bytes === null ? null : new TextDecoder().decode(bytes);

Deno.test("makeDataDisk keeps contents, links and modes, all of them root's", async () => {
  await disk((path) => {
    makeDataDisk({
      path,
      sizeMiB: 16,
      files: {
        "policy/rayos-policy.toml": { content: "version = 0\n" },
        "vm/linux/a/disk": { copyOf: new URL(import.meta.url).pathname },
        "vm/linux/b/twin": { hardLinkTo: "vm/linux/a/disk" },
        "vm/linux/b/link": { symlink: "../a/disk" },
      },
      modes: { "policy/rayos-policy.toml": 0o644, "logs/audit": 0o700 },
    });
    assert.equal(text(readDataDisk(path, "policy/rayos-policy.toml")), "version = 0\n");
    const entries = listDataDisk(path);
    const at = (name: string) => entries.find((one) => one.path === name);
    assert.equal(at("/policy/rayos-policy.toml")?.mode, 0o644);
    assert.equal(at("/vm/linux/a/disk")?.mode, 0o600);
    assert.equal(at("/vm/linux/b/link")?.kind, "link");
    assert.equal(at("/logs/audit")?.kind, "dir");
    assert.equal(at("/vm")?.mode, 0o700);
    assert.deepEqual(readDataDisk(path, "vm/linux/b/twin"), readDataDisk(path, "vm/linux/a/disk"));
    assert.ok(entries.every((one) => one.uid === 0 && one.gid === 0));
    assert.ok(checkDataDisk(path).clean);
  });
});

Deno.test("makeDataDisk refuses a path that leaves the disk, and files that do not fit", async () => {
  await disk((path) => {
    const files = { "../outside": { content: "" } };
    assert.throws(() => makeDataDisk({ path, sizeMiB: 16, files }), ToolError);
    const big = { big: { content: new Uint8Array(8 << 20).fill(7) } };
    assert.throws(() => makeDataDisk({ path, sizeMiB: 4, files: big }), ToolError);
  });
});

Deno.test("readDataDisk gives null for a file that is not there", async () => {
  await disk((path) => {
    makeDataDisk({ path, sizeMiB: 4, files: {} });
    assert.equal(readDataDisk(path, "policy/none"), null);
  });
});

Deno.test("checkDataDisk finds a damaged file system and leaves it as it is", async () => {
  await disk((path) => {
    makeDataDisk({ path, sizeMiB: 16, files: { a: { content: "a" } } });
    using file = Deno.openSync(path, { read: true, write: true });
    // The block group descriptors, behind the superblock.
    file.seekSync(4096, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(512).fill(0xff));
    const before = sha256File(path);
    assert.equal(checkDataDisk(path).clean, false);
    assert.equal(sha256File(path), before);
  });
});
