import assert from "node:assert/strict";
import * as fs from "node:fs";
import { createFile, openFile, readDevice } from "./linux_streams.ts";
import { faultCode, withFolder } from "./test_folder.ts";

Deno.test("createFile writes what it is given, in order, whatever the pieces", () =>
  withFolder(async (folder) => {
    const whole = new Uint8Array(3 * 1024 * 1024 + 5).map((_, n) => n % 251);
    const file = createFile(`${folder}/x`);
    let at = 0;
    for (let size = 1; at < whole.length; size = size * 3 % 1_500_007 + 1) {
      await file.append(whole.subarray(at, at + size));
      at = Math.min(whole.length, at + size);
      assert.equal(file.size, at);
    }
    await file.finish();
    file.abandon();
    assert.deepEqual(Uint8Array.from(fs.readFileSync(`${folder}/x`)), whole);
    assert.equal(fs.lstatSync(`${folder}/x`).mode & 0o7777, 0o600);
  }));

Deno.test("createFile writes into nothing that is there, nor through a link", () =>
  withFolder(async (folder) => {
    fs.writeFileSync(`${folder}/x`, "kept");
    fs.symlinkSync("new", `${folder}/link`);
    assert.equal(faultCode(() => createFile(`${folder}/x`)), "file.exists");
    assert.equal(faultCode(() => createFile(`${folder}/link`)), "file.exists");
    assert.equal(fs.readFileSync(`${folder}/x`, "utf8"), "kept");
    assert.ok(!fs.existsSync(`${folder}/new`));
    await Promise.resolve();
  }));

Deno.test("openFile reads any part of a regular file, and follows no link", () =>
  withFolder(async (folder) => {
    fs.writeFileSync(`${folder}/x`, "0123456789");
    fs.symlinkSync("x", `${folder}/link`);
    const file = openFile(`${folder}/x`);
    assert.ok(file !== null);
    const text = async (at: number, length: number) =>
      new TextDecoder().decode(await file.read(at, length));
    assert.equal(file.size, 10);
    assert.equal(file.inode, fs.lstatSync(`${folder}/x`).ino);
    assert.equal(await text(3, 4), "3456");
    assert.equal(await text(8, 4), "89");
    assert.equal(await text(10, 4), "");
    // The same file, whatever the name is by now.
    fs.renameSync(`${folder}/x`, `${folder}/y`);
    assert.equal(await text(0, 2), "01");
    file.close();
    assert.equal(openFile(`${folder}/x`), null);
    assert.equal(faultCode(() => openFile(`${folder}/link`)), "file.not_plain");
  }));

Deno.test("createFile leaves out what is skipped, in the middle and at the end", () =>
  withFolder(async (folder) => {
    const file = createFile(`${folder}/x`);
    await file.append(new Uint8Array(10).fill(1));
    await file.skip(4 * 1024 * 1024);
    await file.append(new Uint8Array(10).fill(2));
    await file.skip(4 * 1024 * 1024);
    assert.equal(file.size, 8 * 1024 * 1024 + 20);
    await file.finish();
    const { size, blocks } = fs.lstatSync(`${folder}/x`);
    assert.equal(size, 8 * 1024 * 1024 + 20);
    assert.ok((blocks ?? 0) * 512 < 1024 * 1024, `${blocks} blocks`);
    const bytes = fs.readFileSync(`${folder}/x`);
    assert.deepEqual([bytes[9], bytes[10], bytes.at(4 * 1024 * 1024 + 10), bytes.at(-1)], [
      1,
      0,
      2,
      0,
    ]);
  }));

Deno.test("readDevice takes the largest record that the kernel's log has in one piece", async () => {
  await withFolder(async (folder) => {
    fs.writeFileSync(`${folder}/x`, "k".repeat(8192));
    const sizes: number[] = [];
    for await (const piece of readDevice(`${folder}/x`)) sizes.push(piece.length);
    assert.deepEqual(sizes, [8192]);
  });
});
