import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { errorsOf, type Issue } from "../issue.ts";
import { checkPolicy, MAX_ISSUES } from "./parse.ts";
import { FACTS, faults, parse, policyOf, SAMPLE, V } from "./testdata/parse_text.ts";

Deno.test("parsePolicy accepts the documented v0 sample as it stands", () => {
  const { policy, issues } = parse(SAMPLE);
  assert(policy !== null);
  assert.deepEqual(errorsOf(issues), []);
  assert.deepEqual([...policy.profiles.keys()], ["linux", "windows"]);
  const linux = policy.profiles.get("linux");
  assert.equal(linux?.vmId, "linux-desktop-001");
  assert.equal(linux.storage.disk.path, "linux-guest/desktop/desktop-rootfs.ext4");
  assert.equal(linux.limits.memMib, 4096);
  assert.equal(policy.profiles.get("windows")?.enabled, false);
});

Deno.test("parsePolicy of the least policy gives every documented default", () => {
  const { policy, issues, sha256 } = parse("version = 0\n");
  assert.deepEqual(policy, {
    version: 0,
    serial: null,
    hosts: null,
    limits: { cpuPercent: 80, memMib: null, vms: 16 },
    logging: { level: "info", persist: true, input: "redacted" },
    security: { virtualization: "required", measure: "if_available", guestAgent: true },
    presentation: { attention: "ctrl+alt+pause", allow: ["console", "socket"] },
    recoveryPassphrase: null,
    network: { resolver: null, allowPrivate: [] },
    profiles: new Map(),
  });
  assert.deepEqual(issues.map((one) => one.rule), ["serial.none"]);
  assert.equal(sha256, createHash("sha256").update("version = 0\n").digest("hex"));
});

Deno.test("parsePolicy of the least profile gives every documented default", () => {
  const profile = policyOf(`${V}[linux]\n`).profiles.get("linux");
  assert.deepEqual(profile, {
    name: "linux",
    tomlPath: "linux",
    kind: "linux",
    enabled: false,
    vmId: null,
    autoboot: false,
    resumesAtBoot: false,
    presentOnBoot: false,
    networking: "off",
    provisioningMinutes: 30,
    onShutdown: "shutdown",
    limits: { cpus: 1, memMib: 512, ioMibS: null, consoleKibS: 64 },
    storage: {
      disk: { path: "vm/linux/{vm_id}/rootfs.ext4", explicit: false },
      bus: "virtio",
      shares: [],
      windows: null,
    },
    boot: null,
    devices: { input: false, gpu: "none", vtpm: false },
  });
});

Deno.test("parsePolicy resolves what a profile leaves to the defaults", () => {
  const text = `${V}[defaults]\nnetworking = "on"\npresent_on_boot = true\n[linux]\nautoboot = true
[windows]\nnetworking = "off"\npresent_on_boot = false\n[profiles.kiosk]\nkind = "linux"\n`;
  const { profiles } = policyOf(text);
  const seen = [...profiles.values()].map((one) => [one.name, one.networking, one.presentOnBoot]);
  assert.deepEqual(seen, [["linux", "on", true], ["windows", "off", false], ["kiosk", "on", true]]);
  const off = policyOf(`${V}defaults.autoboot_vms = false\n[linux]\nautoboot = true\n`);
  assert.equal(off.profiles.get("linux")?.autoboot, false);
  assert.equal(profiles.get("linux")?.autoboot, true);
});

Deno.test("parsePolicy takes every key of the contract", () => {
  const text = `version = 0
serial = 7
hosts = ["desk-1", "desk-2.example"]
[defaults]
networking = "on"
present_on_boot = true
autoboot_vms = true
[limits]
cpu_percent = 50
mem_mib = 8192
vms = 2
[logging]
level = "trace"
persist = false
input = "full"
[security]
virtualization = "emulated_ok"
measure = "required"
guest_agent = false
[presentation]
attention = "ctrl+alt+end"
allow = ["console"]
[recovery]
passphrase = "$scrypt$ln=15,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
[network]
resolver = "9.9.9.9"
allow_private = ["10.0.0.0/8"]
[linux]
enabled = true
vm_id = "desk"
autoboot = true
present_on_boot = false
networking = "provisioning_only"
provisioning_minutes = 10
on_shutdown = "suspend"
limits = { cpus = 2, mem_mib = 1024, io_mib_s = 50, console_kib_s = 128 }
[linux.storage]
root_disk = "vm/linux/desk/root.img"
bus = "ahci"
[[linux.storage.shares]]
tag = "docs"
path = "vm/linux/desk/docs"
read_only = false
quota_mib = 10
[linux.boot]
kernel = "vm/linux/{vm_id}/vmlinuz"
initrd = "vm/linux/{vm_id}/initrd"
cmdline = "root=/dev/vda quiet"
[linux.devices]
input = true
gpu = "virtio"
vtpm = true
[windows]
enabled = true
vm_id = "win"
[windows.storage]
disk = "vm/windows/win/c.img"
ovmf_vars = "vm/windows/win/vars.fd"
vtpm_state_dir = "vm/windows/win/tpm2"
[windows.devices]
vtpm = true
[profiles.kiosk]
kind = "linux"
enabled = true
storage.root_disk = "linux-guest/{vm_id}/disk"
`;
  const policy = policyOf(text, { ...FACTS, hostName: "desk-2.EXAMPLE" });
  assert.equal(policy.serial, 7);
  assert.deepEqual(policy.profiles.get("linux")?.boot, {
    kernel: "vm/linux/{vm_id}/vmlinuz",
    initrd: "vm/linux/{vm_id}/initrd",
    cmdline: "root=/dev/vda quiet",
  });
  assert.equal(policy.profiles.get("windows")?.storage.windows?.vtpmStateDir.explicit, true);
  assert.equal(policy.profiles.get("kiosk")?.vmId, null);
});

Deno.test("parsePolicy notes each key that this version does not act on yet, and no other", () => {
  const notes = (text: string) =>
    parse(text).issues.filter((one) => one.severity === "note").map((one) => one.path);
  assert.deepEqual(notes(SAMPLE), []);
  const all = `${V}network.resolver = "1.1.1.1"\nnetwork.allow_private = []\nlogging.input = "full"
security.measure = "required"\npresentation.attention = "ctrl+alt+end"\npresentation.allow = []
defaults.networking = "on"\ndefaults.present_on_boot = true
[linux]\nnetworking = "provisioning_only"\nprovisioning_minutes = 5\non_shutdown = "suspend"
present_on_boot = true\nlimits.io_mib_s = 1\nstorage.bus = "ahci"
vm_id = "a"\nstorage.shares = [{ tag = "t", path = "vm/linux/a/s" }]
devices = { input = true, gpu = "virtio", vtpm = true }
[profiles.w]\nkind = "windows"\nenabled = true\ndevices.vtpm = true\n`;
  assert.equal(notes(all).length, 2);
  const harmless =
    `${V}defaults.networking = "off"\nlogging.level = "warn"\nsecurity.measure = "off"
[linux]\nnetworking = "off"\non_shutdown = "shutdown"\ndevices.gpu = "none"\nstorage.shares = []\n`;
  assert.deepEqual(notes(harmless), []);
});

Deno.test("parsePolicy judges nothing of a document of another version", () => {
  assert.deepEqual(faults("version = 1\nnonsense = true\n"), ["meaning.version version 1:11"]);
  assert.deepEqual(faults("version = -1"), ["meaning.version version 1:11"]);
  assert.deepEqual(faults("version = 99999999999999999999"), ["meaning.version version 1:11"]);
  assert.deepEqual(faults('version = "0"'), ["schema.type version 1:11"]);
  assert.deepEqual(faults("version = 0.0"), ["schema.type version 1:11"]);
  assert.deepEqual(faults("x = 1"), ["schema.missing version 1:1"]);
});

Deno.test("parsePolicy refuses unknown keys at every level, with place and nearest key", () => {
  const levels: [string, string, string][] = [
    ["sereal = 1", "sereal 2:1", "serial"],
    ["[limit]\nvms = 1", "limit 2:2", "limits"],
    ["[limits]\ncpu_procent = 1", "limits.cpu_procent 3:1", "cpu_percent"],
    ["[linux]\nenabeld = true", "linux.enabeld 3:1", "enabled"],
    ["[linux.limits]\nmem = 1", "linux.limits.mem 3:1", ""],
    ["[linux.storage]\ndisk = 'x'", "linux.storage.disk 3:1", ""],
    [
      "[linux]\nstorage.shares = [{ tag = 't', path = 'linux-guest/x', readonly = true }]",
      "linux.storage.shares[0].readonly 3:56",
      "read_only",
    ],
    [
      "[profiles.a]\nkind = 'windows'\nstorage.root_disk = 'x'",
      "profiles.a.storage.root_disk 4:9",
      "",
    ],
    ["[profiles.a]\nkind = 'linux'\nvm_id = 'x'", "profiles.a.vm_id 4:1", ""],
    ["__proto__ = 1", "__proto__ 2:1", ""],
    ["[linux.constructor]\nx = 1", "linux.constructor 2:8", ""],
  ];
  for (const [text, at, near] of levels) {
    assert.deepEqual(faults(V + text), [`schema.unknown_key ${at}`], text);
    const hint = parse(V + text).issues[0]?.hint ?? "";
    if (near !== "") assert.equal(hint, `did you mean ${near}?`);
  }
});

Deno.test("parsePolicy holds every bound", () => {
  const inside = [
    "serial = 1",
    "limits.cpu_percent = 1",
    "limits.cpu_percent = 100",
    "limits.mem_mib = 64",
    "limits.vms = 64",
    "linux = { limits = { cpus = 64, mem_mib = 32, console_kib_s = 1, io_mib_s = 1 } }",
    `linux = { vm_id = "${"a".repeat(63)}" }`,
  ];
  for (const text of inside) assert.deepEqual(faults(V + text), [], text);
  const outside: [string, string][] = [
    ["serial = 0", "schema.range"],
    ["serial = 9007199254740993", "schema.range"],
    ["serial = 1.0", "schema.type"],
    ["serial = nan", "schema.type"],
    ["serial = 2026-01-01", "schema.type"],
    ["limits.cpu_percent = 0", "schema.range"],
    ["limits.cpu_percent = 101", "schema.range"],
    ["limits.mem_mib = 63", "schema.range"],
    ["limits.vms = 0", "schema.range"],
    ["limits.vms = 65", "schema.range"],
    ["linux.limits.cpus = 65", "schema.range"],
    ["linux.limits.mem_mib = 31", "schema.range"],
    ["linux.provisioning_minutes = 0", "schema.range"],
    ["linux.provisioning_minutes = 1441", "schema.range"],
    ["linux.enabled = 1", "schema.type"],
    ["linux.networking = 'yes'", "schema.value"],
    ["linux.networking = true", "schema.type"],
    ["defaults.networking = 'provisioning_only'", "schema.value"],
    ["linux.vm_id = 'A'", "schema.form"],
    [`linux.vm_id = '${"a".repeat(64)}'`, "schema.form"],
    ["linux.boot.cmdline = 'a\tb'", "schema.form"],
    ["hosts = []", "schema.length"],
    ["hosts = ['a b']", "schema.form"],
    ["hosts = 'a'", "schema.type"],
    ["network.allow_private = ['10.0.0.0/33']", "schema.form"],
    ["network.resolver = '256.1.1.1'", "schema.form"],
    ["recovery.passphrase = 'hunter2'", "schema.form"],
    ["profiles.A.kind = 'linux'", "schema.form"],
    ["profiles.a.kind = 'mac'", "schema.value"],
    ["profiles.a.enabled = true", "schema.missing"],
    ["profiles.__proto__.kind = 'linux'", "schema.form"],
    ["linux = 1", "schema.type"],
    ["linux = []", "schema.type"],
    ["linux.storage.shares = {}", "schema.type"],
  ];
  for (const [text, rule] of outside) {
    assert.deepEqual(faults(V + text).map((one) => one.split(" ")[0]), [rule], text);
  }
});

Deno.test("parsePolicy refuses a date that does not exist, bytes that are no UTF-8, and a BOM", () => {
  assert.deepEqual(faults(`${V}serial = 2026-02-30`).map((one) => one.split(" ")[0]), [
    "toml.syntax",
  ]);
  const broken = new Uint8Array([...new TextEncoder().encode(V), 0x23, 0xff]);
  assert.deepEqual(faults(broken), ["toml.utf8  2:1"]);
  assert.deepEqual(faults(`\ufeff${V}`), ["toml.bom  1:1"]);
});

Deno.test("parsePolicy holds the policy to its hosts", () => {
  const text = `${V}hosts = ["a", "b"]\n`;
  assert.deepEqual(faults(text, { ...FACTS, hostName: "b" }), []);
  assert.deepEqual(faults(text, { ...FACTS, hostName: "c" }), ["meaning.hosts hosts 2:9"]);
  assert.deepEqual(faults(text, { ...FACTS, hostName: null }), ["meaning.hosts hosts 2:9"]);
  assert.deepEqual(faults(V, { ...FACTS, hostName: "c" }), []);
});

Deno.test("parsePolicy never goes back to a lower serial", () => {
  const text = `${V}serial = 5\n`;
  const { sha256 } = parse(text);
  const facts = (serial: number, hash = "00") => ({
    ...FACTS,
    remembered: { serial, sha256: hash },
  });
  assert.deepEqual(faults(text, facts(4)), []);
  assert.deepEqual(faults(text, facts(5, sha256)), []);
  assert.deepEqual(faults(text, facts(5)), ["serial.reused serial 2:10"]);
  assert.deepEqual(faults(text, facts(6)), ["serial.rollback serial 2:10"]);
  assert.deepEqual(faults(text, facts(6, sha256)), ["serial.rollback serial 2:10"]);
  assert.deepEqual(faults(V, facts(1)), ["serial.missing serial 1:1"]);
  assert.deepEqual(faults(text, { ...FACTS, minSerial: 5 }), []);
  assert.deepEqual(faults(text, { ...FACTS, minSerial: 6 }), ["serial.below_image serial 2:10"]);
  assert.deepEqual(faults(V, { ...FACTS, minSerial: 1 }), ["serial.missing serial 1:1"]);
});

Deno.test("parsePolicy caps its report and counts the rest", () => {
  const many = Array.from({ length: 10_000 }, (_, n) => `k${n} = ${n}`).join("\n");
  const { policy, issues } = parse(V + many);
  assert.equal(policy, null);
  assert.equal(issues.length, MAX_ISSUES + 1);
  assert.equal(issues.at(-1)?.rule, "schema.more");
  assert.equal(issues.at(-1)?.found, "9901 more");
});

Deno.test("parsePolicy never shows what stands under recovery", () => {
  for (const value of ['"hunter2"', '["hunter2"]', "{ x = 'hunter2' }"]) {
    const { issues } = parse(`${V}[recovery]\npassphrase = ${value}\n`);
    assert(issues.length > 0);
    assert(!JSON.stringify(issues).includes("hunter2"));
  }
});

Deno.test("parsePolicy of the sample cut at any length gives a policy or a fault with a place", () => {
  const bytes = new TextEncoder().encode(SAMPLE);
  for (let length = 1; length < bytes.length; length += 7) {
    const { policy, issues } = parse(bytes.subarray(0, length));
    assert(policy !== null || issues.some((one) => (one.line ?? 0) >= 1), `${length}`);
  }
});

Deno.test("parsePolicy of the sample with any line changed throws nothing", () => {
  const lines = SAMPLE.split("\n");
  const index = fc.nat({ max: lines.length - 1 });
  const change = fc.oneof(
    fc.string(),
    fc.constantFrom("[linux]", "a = [", "x.y.z = 1", "[[linux]]"),
  );
  fc.assert(
    fc.property(index, change, (at, line) => {
      const { policy, issues } = parse(lines.with(at, line).join("\n"));
      return (policy === null) === (errorsOf(issues).length > 0);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("checkPolicy says on a desk what the boot would say, and knows sizes", () => {
  const rules = (text: string) =>
    checkPolicy(new TextEncoder().encode(text)).map((one: Issue) => one.rule);
  assert.deepEqual(rules(""), ["policy.empty"]);
  assert.deepEqual(rules(" ".repeat(257 * 1024)), ["policy.size"]);
  assert.deepEqual(rules(V), ["serial.none"]);
  assert.deepEqual(rules(`${V}serial = 1\nhosts = ["elsewhere"]`), []);
  assert.deepEqual(rules(`${V}x = 1`), ["schema.unknown_key"]);
});

Deno.test("checkPolicy notes a passphrase that costs too much without showing it, and any other value as it stands", () => {
  const hash = `$scrypt$ln=22,r=8,p=1$${"a".repeat(22)}$${"b".repeat(43)}`;
  const notes = checkPolicy(
    new TextEncoder().encode(
      `${V}serial = 1\n[recovery]\npassphrase = '${hash}'\n[logging]\ninput = 'full'\n`,
    ),
  );
  assert.deepEqual(notes.map((one) => [one.rule, one.path, one.found, one.severity]), [
    ["note.not_yet", "recovery.passphrase", "a value that is not shown", "note"],
    ["note.not_yet", "logging.input", "'full'", "note"],
  ]);
});
