import assert from "node:assert/strict";
import { ToolError } from "./build_host.ts";
import { MARK, readManifest, stripJsonComments, writeGenerated } from "./build_manifest.ts";

const WRITTEN = `{
  "kernel": { "package": "linux", "release": "6" }, // the kernel
  "library_packages": [],
  "programs": [],
  "modules": [],
  "layout": [],
  "project": [],
${MARK}
  "debian": {}, "npm": {}, "files": [FILES]
}
`;

async function manifest(files: string, use: (path: string) => void): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "rayos-test-" });
  try {
    await Deno.writeTextFile(path, WRITTEN.replace("FILES", files));
    use(path);
  } finally {
    await Deno.remove(path);
  }
}

const FILE = '"mode": "0755", "owner": "0:0", "from": "layout"';

Deno.test("stripJsonComments leaves strings alone", () => {
  const text = '{ "a": "// no", /* one */ "b": "/* no */", // two\n "c": ["\\"//",], }';
  assert.deepEqual(JSON.parse(stripJsonComments(text)), {
    a: "// no",
    b: "/* no */",
    c: ['"//'],
  });
});

for (
  const [what, files] of [
    ["a relative path", `{ "path": "etc/a", ${FILE} }`],
    ["a path with ..", `{ "path": "/../a b", ${FILE} }`],
    ["a setuid mode", '{ "path": "/a", "mode": "4755", "owner": "0:0", "from": "layout" }'],
    ["an owner by name", '{ "path": "/a", "mode": "0755", "owner": "root", "from": "layout" }'],
    ["an unknown source", '{ "path": "/a", "mode": "0755", "owner": "0:0", "from": "http:x" }'],
    ["an unknown key", `{ "path": "/a", ${FILE}, "suid": true }`],
    ["a short hash", `{ "path": "/a", ${FILE}, "sha256": "00" }`],
    ["a path that comes twice", `{ "path": "/a", ${FILE} }, { "path": "/a", ${FILE} }`],
  ] as const
) {
  Deno.test(`readManifest refuses ${what}`, async () => {
    await manifest(files, (path) => assert.throws(() => readManifest(path), ToolError));
  });
}

Deno.test("writeGenerated leaves the written half as it is and is read back", async () => {
  await manifest("", (path) => {
    const before = Deno.readTextFileSync(path).split(MARK)[0];
    const files = [{ path: "/a", mode: "0755", owner: "0:0", from: "layout", dir: true as const }];
    const debian = { libc6: { version: "2.36", sha256: "0".repeat(64) } };
    writeGenerated(path, { debian, npm: {}, files });
    assert.equal(Deno.readTextFileSync(path).split(MARK)[0], before);
    const read = readManifest(path);
    assert.deepEqual(read.files, files);
    assert.deepEqual(read.debian, debian);
  });
});
