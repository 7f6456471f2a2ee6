import assert from "node:assert/strict";
import { elfEnd, elfInfo, elfSection, isElf, moduleInfo } from "./elf.ts";
import { moduleWith } from "./testdata/kernel_module.ts";

// The executable that runs this test is a known dynamic program.
const DENO = Deno.readFileSync(Deno.execPath());

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
