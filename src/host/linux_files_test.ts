import assert from "node:assert/strict";
import * as fs from "node:fs";
import { Fault } from "../fault.ts";
import * as files from "./linux_files.ts";
import { faultCode, withFolder } from "./test_folder.ts";

Deno.test("readFile gives the exact bytes up to the limit, and a fault beyond it", () =>
  withFolder((folder) => {
    for (const size of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
      const bytes = new Uint8Array(size).map((_, n) => n % 251);
      fs.writeFileSync(`${folder}/x`, bytes);
      assert.deepEqual(files.readFile(`${folder}/x`, size), bytes);
      if (size > 0) {
        assert.equal(faultCode(() => files.readFile(`${folder}/x`, size - 1)), "file.too_large");
      }
    }
    assert.equal(files.readFile(`${folder}/none`, 10), null);
  }));

Deno.test("readFile and head follow no link and wait for no FIFO", () =>
  withFolder((folder) => {
    fs.writeFileSync(`${folder}/secret`, "s");
    fs.symlinkSync("secret", `${folder}/link`);
    assert.equal(faultCode(() => files.readFile(`${folder}/link`, 10)), "file.not_plain");
    assert.equal(files.head(`${folder}/link`, 10), null);
    new Deno.Command("mkfifo", { args: [`${folder}/fifo`] }).outputSync();
    assert.equal(files.head(`${folder}/fifo`, 10), null);
    assert.equal(files.head(`${folder}`, 10), null);
    assert.equal(files.lstat(`${folder}/link`)?.type, "symlink");
    assert.equal(files.lstat(`${folder}/fifo`)?.type, "other");
  }));

Deno.test("readText of a file that goes between the look and the open is null, and no fault", () =>
  withFolder(async (folder) => {
    const script = `while :; do : > ${folder}/x; rm ${folder}/x; done`;
    const busy = new Deno.Command("timeout", { args: ["60", "sh", "-c", script] }).spawn();
    const seen = { none: 0, text: 0 };
    try {
      for (let n = 0; n < 20_000; n++) {
        try {
          seen[files.readText(`${folder}/x`, 10) === null ? "none" : "text"]++;
        } catch (error) {
          // The next one of that name is another file, and that is a fault.
          assert.ok(error instanceof Fault && error.code === "file.not_plain", String(error));
        }
      }
    } finally {
      busy.kill();
      await busy.status;
    }
    assert.ok(seen.none > 0 && seen.text > 0, JSON.stringify(seen));
  }));

Deno.test("readText is null for bytes that are no UTF-8", () =>
  withFolder((folder) => {
    fs.writeFileSync(`${folder}/x`, new Uint8Array([0xff]));
    assert.equal(files.readText(`${folder}/x`, 10), null);
  }));

Deno.test("replace leaves one whole file, 0600, and never writes through a planted link", () =>
  withFolder((folder) => {
    fs.writeFileSync(`${folder}/target`, "old");
    fs.symlinkSync("target", `${folder}/x.new`);
    fs.symlinkSync("target", `${folder}/x`);
    files.replace(`${folder}/x`, "new");
    assert.equal(fs.readFileSync(`${folder}/target`, "utf8"), "old");
    assert.equal(fs.readFileSync(`${folder}/x`, "utf8"), "new");
    assert.equal(fs.lstatSync(`${folder}/x`).mode & 0o7777, 0o600);
    assert.deepEqual(fs.readdirSync(folder).sort(), ["target", "x"]);
  }));

Deno.test("replace sets a directory aside that stands in the file's place, and what is in it stays", () =>
  withFolder((folder) => {
    fs.mkdirSync(`${folder}/x/inner`, { recursive: true });
    fs.mkdirSync(`${folder}/x.new`);
    for (const content of ["1", "2"]) files.replace(`${folder}/x`, content);
    assert.equal(fs.readFileSync(`${folder}/x`, "utf8"), "2");
    assert.ok(fs.statSync(`${folder}/x.aside/inner`).isDirectory());
    assert.deepEqual(fs.readdirSync(folder).sort(), ["x", "x.aside", "x.new.aside"]);
  }));

Deno.test("openAppend grows a file, counts its size, and follows no link", () =>
  withFolder((folder) => {
    fs.writeFileSync(`${folder}/log`, "ab");
    const file = files.openAppend(`${folder}/log`);
    file.append(new TextEncoder().encode("cd"));
    assert.equal(file.size, 4);
    file.close();
    file.close();
    assert.equal(fs.readFileSync(`${folder}/log`, "utf8"), "abcd");
    fs.symlinkSync("log", `${folder}/link`);
    assert.equal(faultCode(() => files.openAppend(`${folder}/link`)), "file.not_plain");
  }));

Deno.test("makeDirectory keeps what is there, and refuses a link or a file in its place", () =>
  withFolder((folder) => {
    files.makeDirectory(`${folder}/d`);
    fs.writeFileSync(`${folder}/d/kept`, "");
    files.makeDirectory(`${folder}/d`);
    assert.deepEqual(fs.readdirSync(`${folder}/d`), ["kept"]);
    fs.symlinkSync("d", `${folder}/link`);
    assert.equal(faultCode(() => files.makeDirectory(`${folder}/link`)), "data.not_a_directory");
  }));

Deno.test("canOpen asks the kernel, not the name", () =>
  withFolder((folder) => {
    fs.writeFileSync(`${folder}/x`, "");
    assert.ok(files.canOpen(`${folder}/x`));
    assert.ok(!files.canOpen(`${folder}/none`));
  }));

Deno.test("renameNew gives a name that nothing has, and replaces neither a file nor a link", () =>
  withFolder((folder) => {
    fs.writeFileSync(`${folder}/made`, "made");
    fs.writeFileSync(`${folder}/kept`, "kept");
    fs.symlinkSync("none", `${folder}/link`);
    for (const taken of ["kept", "link"]) {
      const rename = () => files.renameNew(`${folder}/made`, `${folder}/${taken}`);
      assert.equal(faultCode(rename), "file.exists");
    }
    assert.equal(fs.readFileSync(`${folder}/kept`, "utf8"), "kept");
    files.renameNew(`${folder}/made`, `${folder}/new`);
    assert.deepEqual(fs.readdirSync(folder).sort(), ["kept", "link", "new"]);
    assert.equal(fs.lstatSync(`${folder}/new`).nlink, 1);
  }));
