import assert from "node:assert/strict";
import { elfEnd, elfInfo, elfSection, isElf, moduleInfo } from "./elf.ts";

// The executable that runs this test is a known dynamic program.
const DENO = Deno.readFileSync(Deno.execPath());

/** A relocatable ELF file with one section, as a kernel module has. */
function moduleWith(info: string): Uint8Array {
  const names = "\0.modinfo\0.shstrtab\0";
  const bytes = new Uint8Array(64 + info.length + names.length + 3 * 64);
  const view = new DataView(bytes.buffer);
  const text = new TextEncoder();
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const infoAt = 64, namesAt = infoAt + info.length, headersAt = namesAt + names.length;
  bytes.set(text.encode(info), infoAt);
  bytes.set(text.encode(names), namesAt);
  view.setBigUint64(0x28, BigInt(headersAt), true);
  view.setUint16(0x3a, 64, true);
  view.setUint16(0x3c, 3, true);
  view.setUint16(0x3e, 2, true);
  const section = (n: number, name: number, offset: number, size: number) => {
    view.setUint32(headersAt + n * 64, name, true);
    view.setBigUint64(headersAt + n * 64 + 24, BigInt(offset), true);
    view.setBigUint64(headersAt + n * 64 + 32, BigInt(size), true);
  };
  section(1, 1, infoAt, info.length);
  section(2, 10, namesAt, names.length);
  return bytes;
}

Deno.test("isElf tells a program from a script", () => {
  assert.equal(isElf(DENO), true);
  assert.equal(isElf(new TextEncoder().encode(`#!/bin/sh\n${" ".repeat(80)}`)), false);
  assert.equal(isElf(new Uint8Array(3)), false);
});

Deno.test("elfInfo names the libraries and the loader of a program", () => {
  const { needed, interpreter } = elfInfo(DENO);
  assert.ok(needed.includes("libc.so.6"));
  assert.equal(interpreter, "/lib64/ld-linux-x86-64.so.2");
});

Deno.test("elfEnd leaves out what was put behind the program", () => {
  const longer = new Uint8Array(DENO.length + 1000);
  longer.set(DENO);
  assert.equal(elfEnd(longer), elfEnd(DENO));
  assert.ok(elfEnd(DENO) <= DENO.length);
});

Deno.test("elfSection gives null for a section that is not there", () => {
  assert.equal(elfSection(moduleWith(""), ".text"), null);
});

Deno.test("moduleInfo gives every pair of .modinfo, also one whose key comes twice", () => {
  const info = "license=GPL\0depends=a,b\0alias=x=1\0alias=y\0";
  assert.deepEqual(moduleInfo(moduleWith(info)), [
    { key: "license", value: "GPL" },
    { key: "depends", value: "a,b" },
    { key: "alias", value: "x=1" },
    { key: "alias", value: "y" },
  ]);
});
