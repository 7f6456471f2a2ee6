/**
 * The audit of a running host while its disk fails and comes back: what was not given is never recorded as
 * given, what was given always is, and nothing is there twice.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Audit } from "../../src/audit/audit.ts";
import { AuditLog, type AuditPlace } from "../../src/audit/audit_log.ts";
import { CALLER_EXPOSURES, GUEST_EXPOSURES } from "../../src/audit/fold.ts";
import { decodeKeyState, encodeKeyState } from "../../src/audit/key_state.ts";
import { partsIn } from "../../src/audit/reader.ts";
import { linesOf } from "../../src/audit/lines_of.ts";
import { type AuditRecord, readRecord } from "../../src/audit/record.ts";
import { MAX_FILE_BYTES } from "../../src/audit/retention.ts";
import { verifyAll } from "../../src/audit/verify.ts";
import type { VmId } from "../../src/id.ts";
import { fakeRuntime } from "../fake_runtime.ts";
import { CutDisk } from "./cut_disk.ts";

const KEY_FILE = "/boot/audit.key";
const PLACE: AuditPlace = {
  folder: "/audit",
  keyFile: KEY_FILE,
  hadHistory: false,
  expected: null,
};
const NOW = "2026-11-24T12:00:00.000Z";

function audited(disk: CutDisk) {
  const told: string[] = [];
  const audit = new Audit(disk, {
    now: () => NOW,
    onLost: () => told.push("lost"),
    onBack: () => told.push("back"),
    looks: () => false,
    makeRoom: () => false,
  });
  audit.open(PLACE);
  const key = Uint8Array.from(audit.log?.unshown ?? []);
  return { audit, told, key };
}

function recordsOn(disk: CutDisk): AuditRecord[] {
  return [...partsIn(disk, PLACE.folder)].flatMap(({ bytes }) =>
    [...linesOf(bytes)].flatMap((piece) => readRecord(piece.bytes) ?? [])
  );
}

const asked = (vm: string, caller = "socket", op = "vm.start") => ({
  caller,
  op,
  vm,
  allow: true,
  rule: null,
  detail: null,
});

function holds(disk: CutDisk, key: Uint8Array): void {
  const state = decodeKeyState(disk.kept.get(KEY_FILE)?.bytes ?? new Uint8Array());
  const report = verifyAll(partsIn(disk, PLACE.folder), { key, head: null, state });
  assert.ok(report.ok, `${report.bad?.file}:${report.bad?.line} ${report.bad?.what}`);
}

Deno.test("Audit says of each request what became of it, the disk failing at any step of any of them", () => {
  const faults = fc.array(
    fc.record({ at: fc.integer({ min: 1, max: 8 }), share: fc.constantFrom(0, 0.5, 1) }),
    { minLength: 1, maxLength: 6 },
  );
  fc.assert(
    fc.property(faults, (list) => {
      const disk = new CutDisk();
      const { audit, key } = audited(disk);
      const outcomes = new Map<string, boolean>();
      for (const [n, { at, share }] of list.entries()) {
        disk.cutAt = disk.steps + at;
        disk.share = share;
        for (const word of ["a", "b", "c"]) {
          const vm = `vm${n}${word}`;
          outcomes.set(vm, audit.decided(asked(vm), true) === null);
        }
        // It is there again, with what had come to it.
        disk.cutAt = Infinity;
      }
      assert.equal(audit.decided(asked("last"), true), null);
      holds(disk, key);
      const said = recordsOn(disk);
      for (const [vm, given] of outcomes) {
        const about = said.filter((one) => one.data["vm"] === vm).map((one) => one.event);
        // Where the yes had come to the disk before the fault, the no stands behind it.
        const denied = about.length === 1 ? ["audit_deny"] : ["audit_allow", "audit_deny"];
        assert.deepEqual(about, given ? ["audit_allow"] : denied, JSON.stringify({ vm, list }));
      }
      assert.equal(new Set(said.map((one) => one.seq)).size, said.length);
    }),
    { numRuns: 300 },
  );
});

Deno.test("Audit writes nothing twice that had come to the disk, however often the log cannot be opened again", () => {
  for (const failing of [0, 1, 5]) {
    const disk = new CutDisk();
    const { audit, key } = audited(disk);
    audit.observe({ type: "safe_mode", reason: "once" });
    // Lines and their sync are done; the key state is not.
    disk.cutAt = disk.steps + 3;
    disk.share = 0;
    audit.flush();
    assert.notEqual(audit.why, null);
    disk.cutAt = Infinity;
    const list = disk.list.bind(disk);
    disk.list = () => {
      throw new Error("EIO");
    };
    for (let n = 0; n < failing; n++) audit.flush();
    disk.list = list;
    audit.flush();
    assert.equal(audit.why, null);
    holds(disk, key);
    const once = recordsOn(disk).filter((one) => one.event.startsWith("RAYOS_SAFE_MODE"));
    assert.equal(once.length, 1, `after ${failing} tries`);
  }
});

Deno.test("Audit says that it is lost once each time, and that it is back", () => {
  const disk = new CutDisk();
  const { audit, told } = audited(disk);
  for (let n = 0; n < 3; n++) {
    disk.room = 0;
    audit.decided(asked(`a${n}`), true);
    audit.decided(asked(`b${n}`), true);
    disk.room = Infinity;
    audit.flush();
    audit.flush();
  }
  assert.deepEqual(told, ["lost", "back", "lost", "back", "lost", "back"]);
});

Deno.test("a host's troubles name an audit log that cannot be written once, and no more when it can", () => {
  const disk = new CutDisk();
  const runtime = fakeRuntime(disk);
  runtime.audit.open(PLACE);
  runtime.enterSafeMode("other.trouble");
  runtime.troubles.push({ code: "other.trouble", text: "t", hint: "h" });
  for (let n = 0; n < 3; n++) {
    disk.room = 0;
    runtime.emit({ type: "safe_mode", reason: `r${n}` });
    runtime.audit.flush();
    const codes = runtime.troubles.map((one) => one.code);
    assert.deepEqual(codes, ["other.trouble", "audit.unwritable"]);
    disk.room = Infinity;
    runtime.audit.flush();
    assert.deepEqual(runtime.troubles.map((one) => one.code), ["other.trouble"]);
  }
});

Deno.test("Audit has a record for each time that something is given away, the same or not, and denies where it has none", () => {
  for (
    const [caller, { most }] of [["socket", CALLER_EXPOSURES], ["policy", GUEST_EXPOSURES]] as const
  ) {
    const disk = new CutDisk();
    const { audit, key } = audited(disk);
    // A guest that ends by itself again and again, and has no records left for that.
    const subject = { vm: "a" as VmId, kind: "linux", slot: 1, emulated: false } as const;
    for (let n = 0; n < 1000; n++) {
      audit.observe({ type: "vm_restart", subject: subject as never, waitMs: n });
    }
    let given = 0;
    let rule: string | null = null;
    while (rule === null) {
      rule = audit.decided(asked("a", caller, "network.enable"), true)?.rule ?? null;
      if (rule === null) given++;
      assert.ok(given <= most);
    }
    assert.deepEqual([rule, given], ["audit.rate", most]);
    assert.equal(audit.decided(asked("a", "console"), true), null, "a person is not held up by it");
    audit.seal("timer");
    holds(disk, key);
    const said = recordsOn(disk);
    const of = (event: string) =>
      said.filter((one) => one.event === event && one.data["caller"] === caller).length;
    assert.equal(of("audit_allow"), most);
    if (caller === "socket") assert.equal(of("audit_deny"), 1);
    else {assert.match(
        said.map((one) => one.data["kinds"]).join(),
        /network\.enable\/a\/audit\.rate=1/,
      );}
  }
});

Deno.test("Audit gives nothing away for which no record waits any more", () => {
  const disk = new CutDisk();
  const { audit } = audited(disk);
  disk.room = 0;
  for (let n = 0; n < 5000; n++) audit.observe({ type: "safe_mode", reason: `r${n}` });
  disk.room = Infinity;
  assert.equal(audit.decided(asked("a"), true), null);
  const said = recordsOn(disk);
  assert.equal(said.filter((one) => one.data["vm"] === "a").length, 1);
  assert.ok(said.some((one) => one.event === "audit_lost"));
});

Deno.test("Audit has one record of keys that are asked for again and again, refuses none for their number, and all while it is unwritable", () => {
  const disk = new CutDisk();
  const { audit } = audited(disk);
  const key = () => audit.decided(asked("a", "socket", "input.key"), true, true);
  for (let n = 0; n < 5000; n++) assert.equal(key(), null);
  const keys = () => recordsOn(disk).filter((one) => one.data["op"] === "input.key");
  assert.deepEqual(keys().map((one) => one.event), ["audit_allow"]);
  disk.room = 0;
  assert.equal(audit.decided(asked("a"), true)?.rule, "audit.unwritable");
  assert.equal(key()?.rule, "audit.unwritable");
  disk.room = Infinity;
  assert.equal(audit.decided(asked("a"), true), null);
  assert.equal(key(), null);
});

Deno.test("Audit writes many large records in parts, so that no file becomes larger than is read", () => {
  const disk = new CutDisk();
  const { audit, key } = audited(disk);
  const file = disk.kept.get("/audit/audit-000001.jsonl");
  assert.ok(file !== undefined);
  const before = file.bytes.length;
  const appended: number[] = [];
  const append = disk.append.bind(disk);
  disk.append = (path) => {
    const made = append(path);
    return {
      get size() {
        return made.size;
      },
      append: (bytes) => {
        appended.push(bytes.length);
        made.append(bytes);
      },
      sync: () => made.sync(),
      close: () => made.close(),
    };
  };
  audit.open(PLACE);
  for (let n = 0; n < 300; n++) {
    const issue = {
      rule: `audit.x${n}`,
      path: "\u0001".repeat(600),
      expected: "ä".repeat(600),
      found: "\u0001".repeat(600),
      hint: "x".repeat(600),
      line: null,
      column: null,
      severity: "note",
    } as const;
    audit.observe({ type: "violation", issue, vm: null });
  }
  audit.flush();
  assert.ok(file.bytes.length - before > 1024 * 1024, "they are large");
  assert.ok(Math.max(...appended) < 512 * 1024, `${Math.max(...appended)} bytes at once`);
  holds(disk, key);
});

Deno.test("AuditLog goes on behind the file 999999, and finds the one behind it", () => {
  const disk = new CutDisk();
  const { log } = AuditLog.open(disk, PLACE, () => NOW);
  const key = Uint8Array.from(log.unshown ?? []);
  const state = decodeKeyState(disk.kept.get(KEY_FILE)?.bytes ?? new Uint8Array());
  assert.ok(state !== null);
  const file = disk.kept.get("/audit/audit-000001.jsonl");
  assert.ok(file !== undefined);
  disk.kept.delete("/audit/audit-000001.jsonl");
  disk.kept.set("/audit/audit-999999.jsonl", file);
  disk.kept.set(KEY_FILE, {
    bytes: encodeKeyState({ ...state, file: 999_999 }),
    durable: new Uint8Array(),
    named: true,
  });
  const again = AuditLog.open(disk, PLACE, () => NOW);
  assert.deepEqual(again.findings, []);
  const some = Array.from({ length: 200 }, () => ({
    event: "audit_deny",
    time: NOW,
    data: Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, "x".repeat(500)])),
  }));
  while (file.bytes.length < MAX_FILE_BYTES) again.log.write(some);
  again.log.write([{ event: "audit_deny", time: NOW, data: { word: "behind" } }]);
  assert.deepEqual(disk.list("/audit"), ["audit-1000000.jsonl", "audit-999999.jsonl"]);
  assert.deepEqual(AuditLog.open(disk, PLACE, () => NOW).findings, []);
  const names = [...partsIn(disk, PLACE.folder)].map((part) => part.name);
  assert.deepEqual(names, ["audit-999999.jsonl", "audit-1000000.jsonl"]);
  assert.equal(recordsOn(disk).at(-1)?.data["word"], "behind");
  holds(disk, key);
});

Deno.test("AuditLog begins no file that it would not find again", () => {
  const disk = new CutDisk();
  disk.kept.set("/audit/audit-999999999999999.jsonl", {
    bytes: new Uint8Array(),
    durable: new Uint8Array(),
    named: true,
  });
  assert.throws(() => AuditLog.open(disk, PLACE, () => NOW), /no file comes after the number/);
});
