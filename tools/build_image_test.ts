import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Sources } from "./build_closure.ts";
import { sha256, ToolError } from "./build_host.ts";
import {
  checkLibraries,
  manifestDrift,
  readEntries,
  refuseDeveloperKey,
  selected,
  toCpio,
} from "./build_image.ts";
import type { Manifest, ManifestFile } from "./build_manifest.ts";
import { cpio, type CpioEntry } from "./cpio.ts";

const FILE: ManifestFile = {
  path: "/usr/share/data",
  mode: "0644",
  owner: "0:0",
  from: "debian:data",
  member: "usr/share/data",
  sha256: sha256("data"),
};

const MANIFEST: Manifest = {
  kernel: { package: "linux", release: "6" },
  library_packages: [],
  programs: [
    { path: FILE.path, from: "debian:data" },
  ],
  modules: [],
  layout: [],
  project: [{ from: "skeleton", to: "/" }],
  debian: {},
  npm: {},
  files: [],
};

/** A package `data` of one file, a kernel without modules, a project with one file. */
async function sources(drifted: boolean, use: (sources: Sources) => void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "rayos-test-" });
  try {
    const put = (name: string, text: string) => {
      fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
      fs.writeFileSync(path.join(dir, name), text);
    };
    put("data/usr/share/data", "data");
    put("linux/lib/modules/6/modules.builtin", "");
    put("project/skeleton/etc/inittab", "null::respawn:/bin/true\n");
    const one = (name: string) => ({
      name,
      version: "1",
      sha256: "",
      dir: `${dir}/${name}`,
      drifted,
    });
    use({
      debian: new Map([["data", one("data")], ["linux", one("linux")]]),
      npm: new Map(),
      project: `${dir}/project`,
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const DIRS = ["/etc", "/usr", "/usr/share"].map((path): ManifestFile => ({
  path,
  mode: "0755",
  owner: "0:0",
  from: "layout",
  dir: true,
}));
const INITTAB: ManifestFile = {
  path: "/etc/inittab",
  mode: "0644",
  owner: "0:0",
  from: "project:skeleton/etc/inittab",
};

Deno.test("manifestDrift is empty where the list is what the written half asks for", async () => {
  await sources(false, (from) => {
    const files = [...DIRS, INITTAB, FILE].map((one) =>
      one === FILE ? { ...FILE, member: undefined } : one
    );
    const listed = JSON.parse(JSON.stringify(files));
    assert.deepEqual(manifestDrift({ ...MANIFEST, files: listed }, from), []);
  });
});

Deno.test("manifestDrift names an unlisted file, and one that nothing needs", async () => {
  await sources(false, (from) => {
    const { member: _, ...file } = FILE;
    const extra = { ...FILE, path: "/usr/share/extra" };
    const files = [...DIRS, file, extra];
    assert.deepEqual(manifestDrift({ ...MANIFEST, files }, from), [
      "/etc/inittab: not listed",
      "/usr/share/extra: listed, not needed",
    ]);
  });
});

Deno.test("readEntries refuses a file whose hash is not the manifest's", async () => {
  await sources(false, (from) => {
    const file = { ...FILE, sha256: sha256("other") };
    assert.throws(() => readEntries([file], from, new Map(), () => {}), ToolError);
  });
});

Deno.test("readEntries warns where the package is of another version", async () => {
  await sources(true, (from) => {
    const warnings: string[] = [];
    const file = { ...FILE, sha256: sha256("other") };
    readEntries([file], from, new Map(), (line) => warnings.push(line));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /\/usr\/share\/data/);
  });
});

Deno.test("readEntries refuses a file that nothing makes", async () => {
  await sources(false, (from) => {
    const file: ManifestFile = { path: "/a", mode: "0644", owner: "0:0", from: "built:a" };
    assert.throws(() => readEntries([file], from, new Map(), () => {}), /nothing makes built:a/);
  });
});

Deno.test("checkLibraries refuses a built program whose library the image lacks", () => {
  const file = { ...FILE, path: "/usr/lib/rayos/program", from: "built:program" };
  const data = Deno.readFileSync(Deno.execPath());
  assert.throws(() => checkLibraries([{ file, data, sha256: null }]), /needs lib/);
});

Deno.test("selected leaves out the other form's files, and a release image has no developer key", () => {
  const one = (path: string, rest: Partial<ManifestFile>): ManifestFile => ({
    ...FILE,
    path,
    ...rest,
  });
  const files = [
    one("/both", {}),
    one("/compiled", { form: "compiled" }),
    one("/bundled", { form: "bundled" }),
    one("/developer", { profile: "developer" }),
  ];
  const names = (form: "compiled" | "bundled", profile: "developer" | "release") =>
    selected({ ...MANIFEST, files }, form, profile).map((file) => file.path);
  assert.deepEqual(names("compiled", "developer"), ["/both", "/compiled", "/developer"]);
  assert.deepEqual(names("bundled", "release"), ["/both", "/bundled"]);
});

Deno.test("refuseDeveloperKey finds the developer key under any name and comment", () => {
  const key = "RWQ0000000000000000000000000000000000000000000000000000";
  const entry = (path: string, text: string) => ({
    file: { ...FILE, path },
    data: new TextEncoder().encode(text),
    sha256: null,
  });
  const developer = `untrusted comment: developer\n${key}\n`;
  const hidden = entry("/etc/rayos/keys/policy-2026.pub", `untrusted comment: ours\n${key}\n`);
  assert.throws(() => refuseDeveloperKey([hidden], developer), ToolError);
  refuseDeveloperKey([entry("/etc/rayos/keys/policy-2026.pub", "RWQ1\n")], developer);
});

Deno.test("toCpio links files of the same content only where mode and owner are the same too", () => {
  const data = new TextEncoder().encode("x".repeat(4000));
  const entry = (path: string, mode: string) =>
    toCpio({ file: { ...FILE, path, mode }, data, sha256: sha256(data) });
  const size = (...entries: CpioEntry[]) =>
    [...cpio(entries)].reduce((sum, one) => sum + one.length, 0);
  assert.ok(size(entry("/a", "0644"), entry("/b", "0644")) < 5000);
  assert.ok(size(entry("/a", "0644"), entry("/b", "0755")) > 8000);
});
