import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { difference, explain, type Explained, widens } from "./explain.ts";
import { facetsOf } from "./facets.ts";
import { readOnDesk } from "./parse.ts";
import { SHAPELY } from "./testdata/corpus.ts";

function read(...lines: string[]): Explained {
  const found = readOnDesk(new TextEncoder().encode(["version = 0", ...lines, ""].join("\n")));
  assert(found.policy !== null, JSON.stringify(found.issues));
  return found;
}

function says(explained: Explained, key: string, subject = "host"): string {
  const one = explain(explained).find((said) => said.subject === subject && said.key === key);
  assert(one !== undefined, key);
  return `${one.line ?? "default"}: ${one.text}`;
}

const linux = (...lines: string[]) => ["[linux]", "enabled = true", 'vm_id = "desk"', ...lines];

Deno.test("explain gives the line that says a thing, or default", () => {
  const one = read("serial = 7", "[limits]", "vms = 1", ...linux("limits.cpus = 1"));
  assert.equal(
    says(one, "serial"),
    "2: Its serial is 7; a policy with a lower one is refused from then on.",
  );
  assert.equal(says(one, "limits.vms"), "4: At most 1 guest runs at once.");
  assert.equal(says(one, "hosts"), "default: It is for any host.");
  assert.equal(says(one, "linux.limits.cpus", "linux"), "8: It has at most 1 CPU.");
  assert.equal(says(one, "linux.devices.gpu", "linux"), "default: It has no graphics adapter.");
});

Deno.test("explain names the key that wins where two could say it", () => {
  const off = "It does not start at boot.";
  const defaults = ["[defaults]", "autoboot_vms = false"];
  assert.equal(
    says(read(...defaults, ...linux("autoboot = true")), "defaults.autoboot_vms", "linux"),
    `3: ${off}`,
  );
  assert.equal(says(read(...linux("autoboot = false")), "linux.autoboot", "linux"), `5: ${off}`);
  assert.equal(says(read(...linux()), "linux.autoboot", "linux"), `default: ${off}`);
  const on = ["[defaults]", "autoboot_vms = true", 'networking = "on"'];
  assert.equal(
    says(read(...on, ...linux("autoboot = false")), "linux.autoboot", "linux"),
    `8: ${off}`,
  );
  assert.equal(
    says(read(...on, ...linux()), "defaults.networking", "linux"),
    "4: It has a network.",
  );
  assert.equal(
    says(read(...on, ...linux('networking = "off"')), "linux.networking", "linux"),
    "8: It has no network.",
  );
});

Deno.test("explain of a profile that is on and one that is off names their guests", () => {
  const guests = (subject: string, ...text: string[]) =>
    explain(read(...text)).filter((one) => one.subject === subject)[0]?.text;
  const lab = ["[profiles.lab]", 'kind = "windows"', "devices.vtpm = true"];
  assert.equal(
    guests("lab", ...lab, "enabled = true"),
    "A windows guest may run: each guest whose record names it.",
  );
  assert.equal(guests("lab", ...lab), "Its guest may not run.");
  assert.equal(guests("linux", ...linux()), "A linux guest may run: desk.");
});

Deno.test("explain of a disabled profile says only that", () => {
  const statements = explain(read("[linux]", "devices.gpu = 'virtio'")).filter((one) =>
    one.subject === "linux"
  );
  assert.deepEqual(statements.map((one) => one.text), ["Its guest may not run."]);
});

Deno.test("explain never shows the recovery passphrase's hash", () => {
  const hash = `$scrypt$ln=15,r=8,p=1$${"a".repeat(22)}$${"b".repeat(43)}`;
  const other = hash.replace("ln=15", "ln=16");
  const one = read("[recovery]", `passphrase = '${hash}'`);
  const two = read("[recovery]", `passphrase = '${other}'`);
  assert(!JSON.stringify(explain(one)).includes("scrypt"));
  const found = difference(one, two);
  assert(!JSON.stringify(found).includes("scrypt"));
  assert.deepEqual(found.map((each) => each.change), ["both"]);
});

Deno.test("explain has a sentence for every key of every policy of the corpus", () => {
  for (const text of SHAPELY) {
    const found = readOnDesk(new TextEncoder().encode(text));
    if (found.policy === null) continue;
    for (const one of explain(found)) {
      assert.match(one.text, /^[A-Za-z].*\.$/, one.text);
      assert(one.key !== "", one.text);
    }
    assert.deepEqual(difference(found, found), []);
  }
});

/** What a change of one line is. */
const CHANGES:
  readonly (readonly [string[], string[], "widens" | "narrows" | "both" | "changes"])[] = [
    [["hosts = ['a']"], [], "widens"],
    [["hosts = ['a', 'b']"], ["hosts = ['b']"], "narrows"],
    [["hosts = ['a']"], ["hosts = ['b']"], "both"],
    [["serial = 1"], [], "widens"],
    [["limits.cpu_percent = 50"], ["limits.cpu_percent = 51"], "widens"],
    [["limits.mem_mib = 1000"], ["limits.mem_mib = 999"], "narrows"],
    [["limits.mem_mib = 1000"], [], "both"],
    [["limits.vms = 1"], ["limits.vms = 2"], "widens"],
    [[], ["logging.level = 'trace'"], "changes"],
    [[], ["logging.persist = false"], "changes"],
    [[], ["logging.input = 'full'"], "widens"],
    [[], ["security.virtualization = 'emulated_ok'"], "widens"],
    [[], ["security.measure = 'required'"], "narrows"],
    [[], ["security.measure = 'off'"], "widens"],
    [[], ["security.guest_agent = false"], "narrows"],
    [[], ["presentation.attention = 'ctrl+alt+end'"], "changes"],
    [[], ["presentation.allow = ['socket']"], "narrows"],
    [
      [],
      [
        `recovery.passphrase = '$scrypt$ln=15,r=8,p=1$${"a".repeat(22)}$${"b".repeat(43)}'`,
      ],
      "widens",
    ],
    [[], ["network.resolver = '9.9.9.9'"], "both"],
    [[], ["network.allow_private = ['10.0.0.0/8']"], "widens"],
    [linux(), ["[linux]", 'vm_id = "desk"'], "narrows"],
    [[], ["[linux]"], "widens"],
    [linux(), linux("autoboot = true"), "widens"],
    [linux(), linux("present_on_boot = true"), "widens"],
    [linux(), linux("networking = 'on'"), "widens"],
    [linux("networking = 'on'"), linux("networking = 'provisioning_only'"), "narrows"],
    [
      linux("networking = 'provisioning_only'"),
      linux("networking = 'provisioning_only'", "provisioning_minutes = 31"),
      "widens",
    ],
    [linux(), linux("on_shutdown = 'suspend'"), "changes"],
    [linux(), linux("limits.cpus = 2"), "widens"],
    [linux(), linux("limits.mem_mib = 511"), "narrows"],
    [linux(), linux("limits.io_mib_s = 100"), "narrows"],
    [linux("limits.io_mib_s = 100"), linux("limits.io_mib_s = 101"), "widens"],
    [linux(), linux("limits.console_kib_s = 65"), "widens"],
    [linux(), linux("storage.root_disk = 'vm/linux/desk/rootfs.ext4'"), "narrows"],
    [linux(), linux("storage.root_disk = 'vm/linux/desk/x'"), "both"],
    [linux(), linux("storage.bus = 'ahci'"), "widens"],
    [linux(), linux("boot.kernel = 'vm/linux/desk/vmlinuz'"), "both"],
    [linux(), linux("devices.input = true"), "widens"],
    [linux(), linux("devices.gpu = 'virtio'"), "widens"],
    [linux(), linux("devices.vtpm = true"), "widens"],
    [
      linux("[[linux.storage.shares]]", "tag = 'a'", "path = 'vm/linux/desk/a'"),
      linux(
        "[[linux.storage.shares]]",
        "tag = 'a'",
        "path = 'vm/linux/desk/a'",
        "read_only = false",
      ),
      "widens",
    ],
    [
      linux("[[linux.storage.shares]]", "tag = 'a'", "path = 'vm/linux/desk/a'"),
      linux("[[linux.storage.shares]]", "tag = 'a'", "path = 'vm/linux/desk/b'"),
      "both",
    ],
    [
      linux("[[linux.storage.shares]]", "tag = 'a'", "path = 'vm/linux/desk/a'"),
      linux(),
      "narrows",
    ],
  ];

Deno.test("difference tells what widens, narrows, or is something else", () => {
  for (const [old, next, change] of CHANGES) {
    const found = difference(read(...old), read(...next));
    const place = `${old.at(-1) ?? "nothing"} -> ${next.at(-1) ?? "nothing"}`;
    if (change === "widens" && next.at(-1) === "[linux]") {
      // A profile that is not enabled gives nothing.
      assert.deepEqual(found, [], place);
      continue;
    }
    const kinds = new Set(found.map((one) => one.change));
    assert(kinds.has(change), `${place}: ${[...kinds].join(" ")}`);
    assert.equal(widens(found), change === "widens" || change === "both", place);
    const back = difference(read(...next), read(...old));
    assert.equal(widens(back), change === "narrows" || change === "both", `back: ${place}`);
  }
});

Deno.test("facetsOf has no two facets of one name", () => {
  for (const text of SHAPELY) {
    const found = readOnDesk(new TextEncoder().encode(text));
    if (found.policy === null) continue;
    const names = facetsOf(found.policy).map((one) => `${one.profile} ${one.id}`);
    assert.equal(new Set(names).size, names.length);
  }
});

/** A policy that says something else than the default wherever it can. */
const CHANGED = readFileSync(new URL("testdata/explained.toml", import.meta.url));

function lines(explained: Explained): string {
  return explain(explained).map(({ subject, key, line, text }) =>
    `${subject} | ${key} | ${line ?? "default"} | ${text}\n`
  ).join("");
}

function golden(name: string): string {
  return readFileSync(new URL(`testdata/${name}`, import.meta.url), "utf8");
}

Deno.test("explain of a policy that changes every default says each thing as it is written down", () => {
  const found = readOnDesk(new Uint8Array(CHANGED));
  assert(found.policy !== null, JSON.stringify(found.issues));
  assert.equal(lines(found), golden("explained.txt"));
});

Deno.test("explain of the least policy with each kind of profile says the defaults as written down", () => {
  const found = read(
    ...linux(),
    "[windows]",
    "enabled = true",
    'vm_id = "w"',
    "devices.vtpm = true",
    "[profiles.lab]",
    'kind = "linux"',
    "enabled = true",
  );
  assert.equal(lines(found), golden("explained_least.txt"));
});

Deno.test("difference to a policy without the profile names everything that the profile gives", () => {
  const found = difference(read(), read(...linux("devices.input = true", "networking = 'on'")));
  assert.deepEqual(found.map((one) => [one.change, one.old, one.new?.subject]), [
    ...found.map(() => ["widens", null, "linux"]),
  ]);
  assert.deepEqual(found.map((one) => one.new?.text), [
    "A linux guest may run: desk.",
    "Its name is desk.",
    "It has a network.",
    "It has at most 1 CPU.",
    "It has at most 512 MiB of memory.",
    "Its disks have no limit of bandwidth.",
    "Its console is logged at no more than 64 KiB a second.",
    "Its disk is vm/linux/desk/rootfs.ext4, or a file of its own folder that its record names.",
    "It boots from its disk, or from the kernel that its record names.",
    "It gets keyboard and pointer while it is presented.",
  ]);
});

Deno.test("difference of a guest's name tells both names", () => {
  const found = difference(read(...linux()), read("[linux]", "enabled = true", 'vm_id = "desc"'));
  const name = found.find((one) => one.new?.text === "Its name is desc.");
  assert.equal(name?.old?.text, "Its name is desk.");
  assert.equal(name.change, "both");
});
