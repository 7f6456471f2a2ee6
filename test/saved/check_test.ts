import assert from "node:assert/strict";
import type { Slot, VmId } from "../../src/id.ts";
import { samplePlan } from "../../src/plan/sample_plan.ts";
import { setAside } from "../../src/saved/aside.ts";
import { hostKey } from "../../src/saved/host_key.ts";
import { parseTrailer, renderTrailer, type SavedState } from "../../src/saved/trailer.ts";
import type { CutHost } from "./cut_host.ts";
import { cutHost, DISK, KERNEL, STATE, UNFINISHED } from "./fake_qemu.ts";
import { load, plan, suspend, verdict } from "./saving.ts";

/** What is found of a file that was written since. */
const written = (name: string) =>
  ["modified_ms", "changed_ms"].map((field) => `vm.saved_disk:files.${name}.${field}`).join(" ");

Deno.test("checkSaved refuses a state that was put back after it was used", async () => {
  const host = cutHost();
  await suspend(host);
  const bytes = host.contentOf(STATE);
  await load(host);
  host.seed(STATE, bytes ?? "");
  assert.equal(await verdict(host), "vm.saved_used:generation");
});

Deno.test("checkSaved refuses a flipped bit anywhere, and every cut", async () => {
  const host = cutHost();
  await suspend(host);
  const good = host.contentOf(STATE) ?? new Uint8Array();
  for (let at = 0; at < good.length; at++) {
    const flipped = good.slice();
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
    host.seed(STATE, flipped);
    assert.match(await verdict(host), /^vm\.saved_(damaged|incomplete|version):/, `byte ${at}`);
    host.seed(STATE, good.subarray(0, at));
    assert.match(await verdict(host), /^vm\.saved_(damaged|incomplete|version):/, `cut at ${at}`);
  }
  host.seed(STATE, good);
  assert.equal(await verdict(host), "good");
});

Deno.test("checkSaved refuses another plan, machine, guest or file, each by its field", async () => {
  const host = cutHost();
  await suspend(host);
  assert.equal(await verdict(host, plan, "d".repeat(64)), "vm.saved_machine:cpu.host");
  assert.equal(await verdict(host, samplePlan({ memoryMiB: 257 })), "vm.saved_plan:plan");
  assert.equal(
    await verdict(host, samplePlan({ slot: 1 as Slot })),
    "vm.saved_guest:slot vm.saved_plan:plan",
  );
  assert.match(await verdict(host, samplePlan({ uuid: "u" })), /^vm\.saved_guest:uuid /);
  const emulated = await verdict(host, samplePlan({ emulated: true }));
  assert.match(emulated, /vm\.saved_machine:cpu\.model/);
  assert.equal(await verdict(host, samplePlan({ vm: "other" as VmId })), "none");
  host.seed(KERNEL, "kernel");
  assert.equal(await verdict(host), written("kernel"));
});

/** A field of what is sealed, by its path through objects and lists. */
type Leaf = readonly (string | number)[];

function leavesOf(value: unknown, path: Leaf = []): Leaf[] {
  if (value === null || typeof value !== "object") return [path];
  return Object.entries(value).flatMap(([key, one]) =>
    leavesOf(one, [...path, Array.isArray(value) ? Number(key) : key])
  );
}

/** What is there now of another value than that, and of the same kind. */
function other(value: unknown): unknown {
  if (typeof value === "number") return value + 1;
  if (value === "ro") return "rw";
  if (value === "rw") return "ro";
  return /^[0-9a-f]{64}$/u.test(String(value)) ? "e".repeat(64) : `${value}x`;
}

function withOther(state: SavedState, path: Leaf): SavedState {
  const changed = structuredClone(state);
  const last = path.at(-1) ?? "";
  // deno-lint-ignore no-explicit-any
  const holder = path.slice(0, -1).reduce((one: any, key) => one[key], changed);
  holder[last] = other(holder[last]);
  return changed;
}

Deno.test("a state that the host itself sealed is refused for each field that says something else, by that field", async () => {
  const host = cutHost();
  await suspend(host);
  const good = host.contentOf(STATE) ?? new Uint8Array();
  const key = hostKey(host);
  const parsed = parseTrailer(good, good.length, key);
  assert.ok(parsed.ok);
  const { state } = parsed;
  const stream = good.subarray(0, state.stream.bytes);
  const seen: string[] = [];
  for (const path of leavesOf(state)) {
    const trailer = renderTrailer(withOther(state, path), key);
    host.seed(STATE, new Uint8Array([...stream, ...trailer]));
    const field = path.map((one) => typeof one === "number" ? state.files[one]?.name : one).join(
      ".",
    );
    seen.push(field);
    const found = await verdict(host);
    if (["qemu", "cpu.guest"].includes(field)) {
      assert.equal(found, "good", "what only QEMU can say is held against QEMU");
      const { result, qemu } = await load(host);
      assert.ok(!result.ok && result.issues.every((one) => one.path === field), field);
      assert.ok(!qemu.commands.includes("migrate-incoming"));
    } else if (field === "stream.bytes") assert.equal(found, "vm.saved_damaged:");
    else if (field === "stream.sha256") assert.equal(found, "vm.saved_damaged:stream.sha256");
    else if (field === "saved_at") assert.equal(found, "good", "it is for a person");
    else if (field.endsWith(".name")) assert.match(found, /vm\.saved_disk:files\./u);
    else assert.match(found, new RegExp(`^vm\\.saved_\\w+:${field.replaceAll(".", "\\.")}$`, "u"));
  }
  for (
    const field of [
      "vm",
      "kind",
      "slot",
      "uuid",
      "machine",
      "files.disk0.path",
      "files.disk0.access",
    ]
  ) {
    assert.ok(seen.includes(field), field);
  }
});

Deno.test("checkSaved refuses a disk written, grown, replaced or gone since", async () => {
  for (
    const [change, expected] of [
      [(host: CutHost) => host.seed(DISK, "kisd"), written("disk0")],
      [(host: CutHost) => {
        const { modifiedMs = 0 } = host.lstat(DISK) ?? {};
        host.seed(DISK, "kisd");
        host.setModified(DISK, modifiedMs);
      }, "vm.saved_disk:files.disk0.changed_ms"],
      [(host: CutHost) => host.seed(DISK, "disk and more"), /files\.disk0\.size/],
      [(host: CutHost) => {
        host.remove(DISK);
        host.seed(DISK, "disk");
      }, /files\.disk0\.inode/],
      [(host: CutHost) => host.remove(DISK), /files\.disk0\.size/],
    ] as const
  ) {
    const host = cutHost();
    await suspend(host);
    change(host);
    const found = await verdict(host);
    if (typeof expected === "string") assert.equal(found, expected);
    else assert.match(found, expected);
  }
});

Deno.test("checkSaved refuses a state sealed with another key", async () => {
  const host = cutHost();
  await suspend(host, {}, { key: new Uint8Array(32) });
  assert.equal(await verdict(host), "vm.saved_damaged:");
});

Deno.test("checkSaved says that a suspend was cut, and setAside removes what it left", async () => {
  const host = cutHost();
  host.seed(UNFINISHED, "half");
  assert.equal(await verdict(host), "vm.saved_incomplete:");
  assert.equal(setAside(host, plan, []), null);
  assert.equal(await verdict(host), "none");
});

Deno.test("setAside keeps each state in a folder of its own, with the reasons, for ever unusable", async () => {
  const host = cutHost();
  const folders = [];
  for (let n = 0; n < 3; n++) {
    await suspend(host);
    folders.push(setAside(host, plan, []));
    assert.equal(await verdict(host), "none");
  }
  assert.equal(new Set(folders).size, 3);
  for (const folder of folders) {
    assert.ok(host.contentOf(`${folder}/reasons.json`));
    const bytes = host.contentOf(`${folder}/saved`);
    host.seed(STATE, bytes ?? "");
    assert.equal(await verdict(host), "vm.saved_used:generation");
  }
});
