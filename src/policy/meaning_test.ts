import assert from "node:assert/strict";
import { faults, V } from "./testdata/parse_text.ts";

Deno.test("parsePolicy finds faults of shape and sense at once, in the order of their places", () => {
  const text = `version = 0
serail = 1
[linux]
enabled = true
networking = "maybe"
[linux.storage]
root_disk = "../x"
[windows]
enabled = true
vm_id = "w"
[limits]
vms = "many"
`;
  assert.deepEqual(faults(text), [
    "schema.unknown_key serail 2:1",
    "meaning.vm_id_missing linux.vm_id 3:2",
    "schema.value linux.networking 5:14",
    "path.escape linux.storage.root_disk 7:13",
    "meaning.windows_vtpm windows.devices.vtpm 8:2",
    "schema.type limits.vms 12:7",
  ]);
});

Deno.test("parsePolicy does not blame the sense of what already has a fault of shape", () => {
  const text = `${V}[linux]\nenabled = true\nvm_id = "BAD"\n[windows]\nenabled = true\nvm_id = "w"
devices.vtpm = "yes"\n[profiles.a]\nkind = "linux"\nprovisioning_minutes = 5\nnetworking = 1\n`;
  assert.deepEqual(faults(text), [
    "schema.form linux.vm_id 4:9",
    "schema.type windows.devices.vtpm 8:16",
    "schema.type profiles.a.networking 12:14",
  ]);
});

Deno.test("parsePolicy finds each fault of sense", () => {
  const cases: [string, string][] = [
    ["[linux]\nenabled = true", "meaning.vm_id_missing linux.vm_id 2:2"],
    ["[windows]\nenabled = true\nvm_id = 'w'", "meaning.windows_vtpm windows.devices.vtpm 2:2"],
    [
      "[linux]\nprovisioning_minutes = 5",
      "meaning.provisioning_minutes linux.provisioning_minutes 3:24",
    ],
    [
      "[linux]\nboot.initrd = 'linux-guest/i'",
      "meaning.boot_without_kernel linux.boot.initrd 3:15",
    ],
    ["[linux]\nboot.cmdline = 'quiet'", "meaning.boot_without_kernel linux.boot.cmdline 3:16"],
    [
      "limits.mem_mib = 100\n[linux]\nenabled = true\nvm_id = 'a'",
      "meaning.limit_above_whole linux.limits.mem_mib 3:2",
    ],
    [
      "limits.mem_mib = 1000\n[linux]\nenabled = true\nvm_id = 'a'\n[windows]\nenabled = true\nvm_id = 'b'\ndevices.vtpm = true",
      "meaning.limits_above_whole limits.mem_mib 2:18",
    ],
    ["[linux]\nvm_id = 'a'\n[windows]\nvm_id = 'a'", "meaning.vm_id_twice windows.vm_id 5:9"],
    ["[profiles.linux]\nkind = 'linux'", "meaning.profile_name profiles.linux 2:11"],
    [
      "[profiles.a]\nkind = 'linux'\nstorage.root_disk = 'linux-guest/x'",
      "meaning.path_for_all profiles.a.storage.root_disk 4:21",
    ],
    [
      "[linux]\nvm_id='a'\nboot.kernel = 'vm/linux/a/rootfs.ext4'",
      "meaning.file_twice linux.boot.kernel 4:15",
    ],
    ["presentation.allow = ['socket', 'socket']", "meaning.twice presentation.allow 2:22"],
    [
      "[linux]\nvm_id='a'\nstorage.shares = [{tag='t',path='linux-guest/a'},{tag='t',path='linux-guest/b'}]",
      "meaning.share_tag_twice linux.storage.shares[1].tag 4:55",
    ],
  ];
  for (const [text, expected] of cases) {
    assert.deepEqual(faults(V + text), [expected], text);
  }
  const one =
    "limits.vms = 1\nlimits.mem_mib = 1000\n[linux]\nenabled = true\nvm_id = 'a'\n[windows]\nenabled = true\nvm_id = 'b'\ndevices.vtpm = true";
  assert.deepEqual(faults(V + one), []);
});

Deno.test("parsePolicy lets guests be given private networks and no others", () => {
  const found = (...networks: string[]) =>
    faults(`${V}network.allow_private = [${networks.map((one) => `"${one}"`).join(", ")}]\n`);
  const good = [
    "10.0.0.0/8",
    "10.255.255.255/32",
    "100.127.0.0/16",
    "172.31.1.0/24",
    "192.168.0.0/16",
  ];
  assert.deepEqual(found(...good), []);
  for (
    const one of [
      ...["0.0.0.0/0", "0.0.0.0/1", "127.0.0.0/8", "10.0.0.0/7", "198.18.0.0/15", "198.0.0.0/8"],
      ...["172.32.0.0/16", "100.128.0.0/16", "169.254.169.254/32", "224.0.0.0/4", "9.9.9.9/32"],
    ]
  ) {
    assert.deepEqual(found("10.0.0.0/8", one), [
      "meaning.private_network network.allow_private[1] 2:40",
    ]);
  }
});

Deno.test("parsePolicy holds every path to the rules, after {vm_id} is replaced", () => {
  const disk = (path: string) => `${V}[linux]\nvm_id = "a"\nstorage.root_disk = "${path}"\n`;
  const rule = (path: string) => faults(disk(path)).map((one) => one.split(" ")[0]);
  assert.deepEqual(rule("vm/linux/{vm_id}/x"), []);
  assert.deepEqual(rule("linux-guest/x"), []);
  assert.deepEqual(rule("../../etc/shadow"), ["path.escape"]);
  assert.deepEqual(rule("/etc/shadow"), ["path.absolute"]);
  assert.deepEqual(rule(""), ["path.empty"]);
  assert.deepEqual(rule("vm/linux/b/x"), ["path.foreign"]);
  assert.deepEqual(rule("policy/x"), ["path.foreign"]);
  assert.deepEqual(rule("windows-guest/x"), ["path.foreign"]);
  assert.deepEqual(rule("vm/linux/a/state/x"), ["path.foreign"]);
  assert.deepEqual(rule("vm/linux/{vm}/x"), ["path.form"]);
  assert.deepEqual(rule(`linux-guest/${"x".repeat(250)}`), ["path.length"]);
  const long = `linux-guest/{vm_id}/${"x".repeat(180)}`;
  assert.deepEqual(rule(long), []);
  const named = `${V}[profiles.k]\nkind = "linux"\nstorage.root_disk = "${long}"\n`;
  assert.deepEqual(faults(named).map((one) => one.split(" ")[0]), ["path.length"]);
  const share = `${V}[linux]\nvm_id = "a"\nstorage.shares = [{ tag = "t", path = "vm/linux/a" }]\n`;
  assert.deepEqual(faults(share).map((one) => one.split(" ")[0]), [
    "meaning.file_twice",
    "path.foreign",
  ]);
});

Deno.test("parsePolicy refuses a NUL that an escape put into a string", () => {
  const found = faults(`${V}[linux]\nstorage.root_disk = "linux-guest/a\\u0000b"\n`);
  assert.deepEqual(found, [
    "schema.nul linux.storage.root_disk 3:21",
    "path.nul linux.storage.root_disk 3:21",
  ]);
});

Deno.test("parsePolicy finds nothing where the sense just holds", () => {
  const linux = (more = "") => `[linux]\nenabled = true\nvm_id = 'a'\n${more}`;
  const windows = "[windows]\nenabled = true\nvm_id = 'b'\ndevices.vtpm = true\n";
  const lab = (name: string) => `[profiles.${name}]\nkind = 'linux'\nenabled = true\n`;
  for (
    const text of [
      // As much as there is, alone and together, and named profiles are not counted.
      `limits.mem_mib = 512\n${linux()}`,
      `limits.mem_mib = 1024\n${linux()}${windows}`,
      `limits.mem_mib = 512\n${linux()}${lab("x")}${lab("y")}`,
      `limits.mem_mib = 512\n${linux()}[windows]\nvm_id = 'b'\n`,
      `limits.mem_mib = 100\n[linux]\nvm_id = 'a'\n`,
      // What is off and names nobody owns nothing.
      "[linux]\nstorage.root_disk = 'vm/linux/anybody/x'\n",
      "[windows]\ndevices.vtpm = false\n",
      "defaults.networking = 'off'\n[linux]\nnetworking = 'provisioning_only'\nprovisioning_minutes = 5\n",
      "[linux]\nvm_id='a'\nboot.kernel = 'linux-guest/k'\nboot.initrd = 'linux-guest/i'\nboot.cmdline = 'q'\n",
      "[linux]\nvm_id='a'\n[windows]\nvm_id='b'\n",
      `${lab("kiosk")}storage.root_disk = 'linux-guest/{vm_id}'\n`,
      `${lab("a")}${lab("b")}`,
      "presentation.allow = ['socket', 'console']\n",
    ]
  ) assert.deepEqual(faults(V + text), [], text);
});

Deno.test("parsePolicy tells files of two guests from files of one", () => {
  const both = (one: string, other: string) =>
    faults(
      `${V}[linux]\nvm_id = 'a'\nstorage.root_disk = '${one}'\n` +
        `[profiles.x]\nkind = 'linux'\nstorage.root_disk = '${other}'\n`,
    );
  // A profile for several guests is no guest of its own: who has it is the registry's matter.
  assert.deepEqual(both("linux-guest/a", "linux-guest/{vm_id}"), []);
  assert.deepEqual(
    faults(`${V}[linux]\nstorage.root_disk = 'x/y'\n[windows]\nstorage.disk = 'x/y'\n`),
    ["path.foreign windows.storage.disk 5:16"],
  );
  assert.deepEqual(
    faults(`${V}[linux]\nstorage.root_disk = 'x/y'\nboot.kernel = 'x/y'\n`),
    ["meaning.file_twice linux.boot.kernel 4:15"],
  );
  const windows = (disk: string, vars: string) =>
    faults(`${V}[windows]\nvm_id = 'w'\nstorage = { disk = '${disk}', ovmf_vars = '${vars}' }\n`);
  assert.deepEqual(windows("windows-guest/d", "windows-guest/v"), []);
  assert.deepEqual(windows("windows-guest/d", "windows-guest/d"), [
    "meaning.file_twice windows.storage.ovmf_vars 4:51",
  ]);
  assert.deepEqual(windows("windows-guest/d", "windows-guest/d/v"), [
    "meaning.file_twice windows.storage.ovmf_vars 4:51",
  ]);
  assert.deepEqual(windows("windows-guest/d/e", "windows-guest/d"), [
    "meaning.file_twice windows.storage.disk 4:20",
  ]);
});

Deno.test("parsePolicy sums only the guests that can run at once", () => {
  const two = (vms: number, memory: number) =>
    faults(
      `${V}limits = { vms = ${vms}, mem_mib = ${memory} }\n[linux]\nenabled = true\nvm_id = 'a'\n` +
        "limits.mem_mib = 300\n[windows]\nenabled = true\nvm_id = 'b'\ndevices.vtpm = true\n" +
        "limits.mem_mib = 200\n",
    );
  assert.deepEqual(two(2, 500), []);
  assert.deepEqual(two(2, 499), ["meaning.limits_above_whole limits.mem_mib 2:31"]);
  assert.deepEqual(two(2, 300), ["meaning.limits_above_whole limits.mem_mib 2:31"]);
  assert.deepEqual(two(1, 300), []);
  assert.deepEqual(two(1, 299), ["meaning.limit_above_whole linux.limits.mem_mib 6:18"]);
});

Deno.test("parsePolicy compares no files of profiles that are off and name no guest", () => {
  const both = (linux: string, windows: string) =>
    faults(
      `${V}[linux]\n${linux}storage.root_disk = "vm/linux/{vm_id}/d"\n` +
        `[windows]\n${windows}storage.disk = "vm/linux/{vm_id}/d"\n`,
    );
  assert.deepEqual(both("", ""), []);
  assert.deepEqual(both("", 'vm_id = "w"\n'), ["path.foreign windows.storage.disk 6:16"]);
});

Deno.test("parsePolicy finds files that are one or nested in whatever order they are named", () => {
  const names = ["a", "b", "c/d", "c", "b-e"];
  const shares = (order: readonly string[]) =>
    faults(
      `${V}[linux]\nvm_id = "a"\nstorage.shares = [${
        order.map((name, n) => `{ tag = "t${n}", path = "linux-guest/${name}" }`).join(", ")
      }]\n`,
    ).map((one) => one.split(" ")[0]);
  for (let turn = 0; turn < names.length; turn++) {
    const order = [...names.slice(turn), ...names.slice(0, turn)];
    assert.deepEqual(shares(order), ["meaning.file_twice"], order.join());
    assert.deepEqual(shares(order.toReversed()), ["meaning.file_twice"], order.join());
    assert.deepEqual(shares(order.filter((name) => name !== "c")), [], order.join());
  }
});
