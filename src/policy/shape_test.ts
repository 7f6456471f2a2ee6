import assert from "node:assert/strict";
import type { Issue } from "../issue.ts";
import { MAX_PROFILES } from "./schema.ts";
import { checkShape, type Shape } from "./shape.ts";
import { readToml } from "./toml.ts";

const V = "version = 0\n";

function shapeOf(text: string): Shape {
  const read = readToml(new TextEncoder().encode(text));
  assert(read.ok, text);
  return checkShape(read.document);
}

/** The one finding about a document. */
function only(text: string): Issue {
  const { issues } = shapeOf(text);
  assert.equal(issues.length, 1, `${text}: ${JSON.stringify(issues)}`);
  return issues[0] as Issue;
}

/** `rule path line:column` and what is said of it. */
function said(text: string): [string, string, string, string] {
  const { rule, path, line, column, expected, found, hint } = only(text);
  return [`${rule} ${path} ${line}:${column}`, expected, found, hint];
}

const profiles = (count: number, last = "") =>
  `${V}${
    Array.from({ length: count }, (_, n) => `[profiles.p${n}]\nkind = "linux"\n`).join("")
  }${last}`;

Deno.test("checkShape of a good document gives it whole, with nothing faulty", () => {
  const { issues, document, faulty, more } = shapeOf(`${V}[linux]\nenabled = true\n`);
  assert.deepEqual([issues, faulty, more], [[], [], 0]);
  assert.equal(document?.linux?.enabled, true);
});

Deno.test("checkShape gives no document where what is left has not the shape", () => {
  assert.equal(shapeOf("").document, null);
  assert.deepEqual(said(""), ["schema.missing version 1:1", "0", "nothing", "add version"]);
});

Deno.test("checkShape leaves out what is faulty and nothing else", () => {
  const left = (text: string) => shapeOf(V + text).document;
  assert.deepEqual(left("linux = { vm_id = 'A', enabled = true }")?.linux?.enabled, true);
  const lists = left(
    "hosts = ['a', 'b b']\n[linux.storage]\nbus = 'ahci'\n[[linux.storage.shares]]\ntag = 'a'\npath = 'a'\n" +
      "[[linux.storage.shares]]\ntag = 'b'\nzzz = 1\npath = 'b'\n",
  );
  assert.equal(lists?.hosts, undefined, "a list is left out whole for one of its elements");
  assert.deepEqual(lists?.linux?.storage.shares.map((one) => one.tag), ["a", "b"]);
  assert.equal(lists?.linux?.storage.bus, "ahci");
  const kinds = left("[profiles.a]\nkind = 'mac'\n[profiles.b]\nkind = 'linux'\nenabled = 1\n");
  assert.deepEqual(Object.keys(kinds?.profiles ?? {}), ["b"], "no profile without its kind");
});

Deno.test("checkShape names as faulty what it leaves out", () => {
  const faulty = (text: string) => shapeOf(V + text).faulty;
  assert.deepEqual(faulty("hosts = ['b b']"), [["hosts"]]);
  assert.deepEqual(faulty("[profiles.a]\nkind = 'mac'"), [["profiles", "a"]]);
  assert.deepEqual(faulty("[linux]\nenabled = 1"), [["linux", "enabled"]]);
  assert.deepEqual(faulty("[profiles.a]\nkind = 'linux'\nlimits.cpus = 0"), [
    ["profiles", "a", "limits", "cpus"],
  ]);
  assert.deepEqual(faulty("[linux]\nzzz = 1"), [], "an unknown key makes nothing doubtful");
});

Deno.test("checkShape reports a hundred unknown keys and counts the others", () => {
  const unknown = (count: number) =>
    shapeOf(V + Array.from({ length: count }, (_, n) => `k${n} = 0\n`).join(""));
  const most = unknown(100);
  assert.deepEqual([most.issues.length, most.more, most.document?.version], [100, 0, 0]);
  const above = unknown(103);
  assert.deepEqual([above.issues.length, above.more, above.document?.version], [100, 3, 0]);
});

Deno.test("checkShape takes as many profiles as are allowed, and says once that there are more", () => {
  const most = shapeOf(profiles(MAX_PROFILES));
  assert.deepEqual([most.issues, most.faulty], [[], []]);
  assert.equal(Object.keys(most.document?.profiles ?? {}).length, MAX_PROFILES);
  assert.deepEqual(said(profiles(MAX_PROFILES + 1)), [
    `schema.length profiles.p64 ${2 + 2 * MAX_PROFILES}:11`,
    "at most 64 profiles",
    "more",
    "remove profiles that no guest uses",
  ]);
  const left = shapeOf(profiles(MAX_PROFILES + 1)).document;
  assert.equal(Object.keys(left?.profiles ?? {}).length, MAX_PROFILES);
  assert.equal(only(profiles(MAX_PROFILES + 2)).path, "profiles.p64");
});

Deno.test("checkShape of a profile that is too many and faulty within says both", () => {
  const found = shapeOf(
    profiles(MAX_PROFILES + 1, "enabled = 1\nlimits.cpus = 0\nlimits.zzz = 0\n"),
  );
  assert.deepEqual(found.issues.map((one) => `${one.rule} ${one.path}`).sort(), [
    "schema.length profiles.p64",
    "schema.range profiles.p64.limits.cpus",
    "schema.type profiles.p64.enabled",
    "schema.unknown_key profiles.p64.limits.zzz",
  ]);
  assert.equal(Object.keys(found.document?.profiles ?? {}).length, MAX_PROFILES);
});

Deno.test("checkShape takes no profile called __proto__, and says what to do", () => {
  assert.deepEqual(said(`${V}[profiles.__proto__]\nkind = "linux"\n`), [
    "schema.form profiles.__proto__ 2:11",
    "a profile name",
    "__proto__",
    "give it another name",
  ]);
});

Deno.test("checkShape says of what no guest is ever given that this version has none", () => {
  assert.deepEqual(said(`${V}[linux.devices]\nusb = true\n`), [
    "meaning.device_none linux.devices.usb 3:1",
    "no USB: version 0 has none",
    "usb",
    "remove it",
  ]);
  const ruleOf = (text: string) => said(`${V}${text}`)[0]?.split(" ")[0];
  for (
    const [key, rule] of [
      ["linux.devices.passthrough", "meaning.device_none"],
      ["linux.devices.Audio", "meaning.device_none"],
      ["linux.storage.9p", "meaning.device_none"],
      ["linux.devices.virtio-9p", "meaning.device_none"],
      ["windows.balloon", "meaning.device_none"],
      ["usb", "schema.unknown_key"],
      ["linux.devices.toString", "schema.unknown_key"],
    ] as const
  ) assert.equal(ruleOf(`${key} = 1`), rule, key);
  assert.equal(ruleOf("linux.devices.gpu = 'passthrough'"), "meaning.device_none");
  assert.equal(ruleOf("linux.devices.gpu = 'none at all'"), "schema.value");
});

Deno.test("checkShape says of an unknown key which keys there are, and the nearest", () => {
  const storage = (profile: string) => said(`${V}${profile}`)[1];
  assert.deepEqual(said(`${V}[limits]\nvns = 1\n`), [
    "schema.unknown_key limits.vns 3:1",
    "one of cpu_percent, mem_mib, vms",
    "vns",
    "did you mean vms?",
  ]);
  assert.deepEqual(said(`${V}[linux.boot]\n"a b" = 1\n`), [
    'schema.unknown_key linux.boot."a b" 3:1',
    "one of kernel, initrd, cmdline",
    '"a b"',
    "remove it",
  ]);
  assert.equal(storage("linux.storage.zzz = 1"), "one of root_disk, bus, shares");
  assert.equal(
    storage("windows.storage.zzz = 1"),
    "one of disk, ovmf_vars, vtpm_state_dir, bus, shares",
  );
  assert.equal(
    storage("[[linux.storage.shares]]\ntag = 'a'\npath = 'a'\nzzz = 1"),
    "one of tag, path, read_only, quota_mib",
  );
});

Deno.test("checkShape knows the keys of a profile by its kind", () => {
  const known = (kind: string, key: string) =>
    said(`${V}[profiles.a]\nkind = '${kind}'\n${key} = 1`)[1];
  assert.match(known("linux", "zzz"), /^one of kind, enabled, .*, devices, boot, storage$/);
  assert.match(known("windows", "zzz"), /^one of kind, enabled, .*, devices, boot, storage$/);
  assert.equal(known("linux", "storage.zzz"), "one of root_disk, bus, shares");
  assert.equal(
    known("windows", "storage.zzz"),
    "one of disk, ovmf_vars, vtpm_state_dir, bus, shares",
  );
});

Deno.test("checkShape says of vm_id in a profile for several guests where names belong", () => {
  const hint = (text: string) => said(V + text)[3];
  const kind = "[profiles.a]\nkind = 'linux'\n";
  const registry = "a profile under profiles is for several guests; a registry record names it";
  assert.equal(hint(`${kind}vm_id = 'x'`), registry);
  assert.equal(hint(`${kind}zzz = 1`), "remove it");
  assert.equal(hint(`${kind}limits.vm_id = 'x'`), "remove it");
  assert.equal(hint("linux.limits.vm_id = 'x'"), "remove it");
  assert.equal(hint("vm_id = 'x'"), "remove it");
});

Deno.test("checkShape says what is missing where it would stand", () => {
  const share = "[[linux.storage.shares]]\npath = 'a'\n";
  assert.deepEqual(said(V + share), [
    "schema.missing linux.storage.shares[0].tag 2:17",
    "a string",
    "nothing",
    "add tag",
  ]);
  assert.deepEqual(said(`${V}[profiles.a]\n`), [
    "schema.missing profiles.a.kind 2:11",
    '"linux" or "windows"',
    "nothing",
    "add kind",
  ]);
});

Deno.test("checkShape shows a name that is none at its key, and a value at its own place", () => {
  assert.deepEqual(said(`${V}profiles.A = { kind = "linux" }`), [
    "schema.form profiles.A 2:10",
    "a profile name: a-z 0-9 _ -, at most 63 characters",
    "A",
    "correct the value",
  ]);
  assert.deepEqual(said(`${V}profiles.'a b' = { kind = "linux" }`).slice(2), [
    '"a b"',
    "correct the value",
  ]);
  assert.deepEqual(said(`${V}linux.vm_id = 'A'`), [
    "schema.form linux.vm_id 2:15",
    "a guest name: a-z 0-9 -, at most 63 characters",
    "'A'",
    "correct the value",
  ]);
});

Deno.test("checkShape says in words what would have been accepted", () => {
  const expected = (text: string) => said(V + text).slice(0, 2).join(" | ");
  assert.equal(expected("hosts = 1"), "schema.type hosts 2:9 | a list");
  assert.equal(expected("hosts = []"), "schema.length hosts 2:9 | at least 1");
  assert.equal(expected("hosts = [1]"), "schema.type hosts[0] 2:10 | a string");
  assert.equal(expected("linux.enabled = 1"), "schema.type linux.enabled 2:17 | true or false");
  assert.equal(expected("limits.vms = 1.5"), "schema.type limits.vms 2:14 | a whole number");
  assert.equal(expected("limits.vms = 0"), "schema.range limits.vms 2:14 | at least 1");
  assert.equal(expected("limits.vms = 65"), "schema.range limits.vms 2:14 | at most 64");
  assert.equal(expected("serial = 9007199254740993"), "schema.range serial 2:10 | a whole number");
  assert.equal(expected("linux = 1"), "schema.type linux 2:9 | a table");
  assert.equal(expected("profiles = 1"), "schema.type profiles 2:12 | a table");
  assert.equal(
    expected("linux.storage.bus = 'ide'"),
    'schema.value linux.storage.bus 2:21 | "virtio" or "ahci"',
  );
  assert.equal(
    expected("linux.storage.bus = 1"),
    'schema.type linux.storage.bus 2:21 | "virtio" or "ahci"',
  );
  assert.equal(
    expected("profiles.a.kind = 'mac'"),
    'schema.value profiles.a.kind 2:19 | "linux" or "windows"',
  );
});

Deno.test("checkShape shows no value under recovery, and every other", () => {
  const found = (text: string) => said(V + text)[2];
  assert.equal(found("recovery.passphrase = 'hunter2'"), "a value that is not shown");
  assert.equal(found("network.resolver = 'hunter2'"), "'hunter2'");
});
