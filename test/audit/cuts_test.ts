/**
 * The audit log through power cuts, a full disk, and a disk from which something was taken: what was counted
 * as written is there, all of it verifies, and the log goes on.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Audit } from "../../src/audit/audit.ts";
import {
  auditFiles,
  AuditLog,
  type AuditPlace,
  readFingerprint,
} from "../../src/audit/audit_log.ts";
import { sha256Hex } from "../../src/sha256.ts";
import { decodeKeyState } from "../../src/audit/key_state.ts";
import { linesOf } from "../../src/audit/lines_of.ts";
import { type AuditRecord, readRecord } from "../../src/audit/record.ts";
import { MAX_FILE_BYTES, MAX_FILES } from "../../src/audit/retention.ts";
import { type AuditReport, type LogPart, verifyAll } from "../../src/audit/verify.ts";
import { Cut, CutDisk } from "./cut_disk.ts";

const FOLDER = "/audit";
const KEY_FILE = "/boot/audit.key";
const place = (more: Partial<AuditPlace> = {}): AuditPlace => ({
  folder: FOLDER,
  keyFile: KEY_FILE,
  hadHistory: false,
  expected: null,
  ...more,
});
const now = () => "2026-11-24T12:00:00.000Z";
const content = (word: string) => ({ event: "audit_allow", time: now(), data: { word } });

function open(disk: CutDisk, more: Partial<AuditPlace> = {}) {
  return AuditLog.open(disk, place(more), now);
}

function partsOn(disk: CutDisk): LogPart[] {
  return auditFiles(disk.list(FOLDER)).map((name) => ({
    name,
    bytes: disk.kept.get(`${FOLDER}/${name}`)?.bytes ?? new Uint8Array(),
  }));
}

function verify(disk: CutDisk, key: Uint8Array | null): AuditReport {
  const file = disk.kept.get(KEY_FILE)?.bytes;
  const state = file === undefined ? null : decodeKeyState(file);
  return verifyAll(partsOn(disk), { key, head: null, state });
}

/** What the log holds, in order. */
function words(disk: CutDisk): string[] {
  const text = partsOn(disk).map((part) => new TextDecoder().decode(part.bytes)).join("");
  return [...text.matchAll(/^.*"word":"(\w+)".*}$/gm)].map((found) => found[1] ?? "");
}

for (const share of [0, 0.1, 0.5, 0.9, 1]) {
  Deno.test(`AuditLog keeps what it counted as written, the power cut at each step (${share} kept)`, () => {
    for (let at = 1;; at++) {
      const disk = new CutDisk();
      disk.cutAt = at;
      disk.share = share;
      const counted: string[] = [];
      let key: Uint8Array | null = null;
      let cut = false;
      try {
        const { log } = open(disk);
        key = Uint8Array.from(log.unshown ?? []);
        for (let n = 0; n < 6; n++) {
          const names = [`w${n}a`, `w${n}b`, `w${n}c`];
          log.write([...names.map(content), ...(n % 2 ? [] : [sealed()])]);
          counted.push(...names);
        }
        log.forgetKey();
      } catch (error) {
        assert.ok(error instanceof Cut, String(error));
        cut = true;
      }
      disk.powerCycle();
      const state = disk.kept.get(KEY_FILE);
      if (state !== undefined) {
        key ??= decodeKeyState(state.bytes)?.unshown ?? null;
        // As it lies there, before the host comes up again.
        const report = verify(disk, key);
        const ok = report.ok || report.bad?.rule === "audit.missing";
        assert.ok(ok, `cut at ${at}: ${report.bad?.what}`);
      }
      const { log, findings } = open(disk);
      assert.deepEqual(findings, [], `cut at ${at}`);
      key ??= log.unshown;
      log.write([content("after")]);
      const report = verify(disk, key);
      assert.ok(
        report.ok,
        `cut at ${at}: ${report.bad?.file}:${report.bad?.line} ${report.bad?.what}`,
      );
      assert.equal(report.anchor, "key");
      const there = words(disk);
      assert.deepEqual(there.slice(0, counted.length), counted, `cut at ${at}`);
      assert.equal(there.at(-1), "after");
      if (!cut) break;
      assert.ok(at < 100);
    }
  });
}

function sealed() {
  return { event: "audit_seal", time: now(), data: { reason: "timer" } };
}

Deno.test("AuditLog goes on through any sequence of cuts, and the whole of it verifies", () => {
  const cuts = fc.array(
    fc.record({
      at: fc.integer({ min: 1, max: 14 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(cuts, (list) => {
      const disk = new CutDisk();
      const key = Uint8Array.from(open(disk).log.unshown ?? []);
      const counted: string[] = [];
      for (const [n, { at, share }] of list.entries()) {
        disk.steps = 0;
        disk.cutAt = at;
        disk.share = share;
        try {
          const { log, findings } = open(disk);
          assert.deepEqual(findings, []);
          for (let w = 0; w < 4; w++) {
            log.write([content(`n${n}w${w}`), sealed()]);
            counted.push(`n${n}w${w}`);
          }
        } catch (error) {
          if (!(error instanceof Cut)) throw error;
        }
        disk.powerCycle();
      }
      const { findings } = open(disk);
      assert.deepEqual(findings, []);
      const report = verify(disk, key);
      assert.ok(report.ok, `${report.bad?.file}:${report.bad?.line} ${report.bad?.what}`);
      assert.deepEqual(words(disk).filter((word) => counted.includes(word)), counted);
    }),
    { numRuns: 300 },
  );
});

Deno.test("AuditLog says what is missing on a disk that was in use, and such a log stays marked", () => {
  const used = new CutDisk();
  assert.deepEqual(open(used, { hadHistory: true }).findings.map((one) => one.rule), [
    "audit.missing",
  ]);

  // The folder is emptied.
  const emptied = new CutDisk();
  const { log } = open(emptied);
  const key = Uint8Array.from(log.unshown ?? []);
  log.write([content("a"), content("b")]);
  for (const name of emptied.list(FOLDER)) emptied.kept.delete(`${FOLDER}/${name}`);
  const again = open(emptied);
  assert.deepEqual(again.findings.map((one) => one.rule), ["audit.missing"]);
  again.log.write([content("c")]);
  assert.deepEqual(open(emptied).findings, []);
  assert.equal(verify(emptied, key).bad?.rule, "audit.missing");

  // Its end is cut off.
  const shorter = new CutDisk();
  const first = open(shorter).log;
  const firstKey = Uint8Array.from(first.unshown ?? []);
  first.write([content("a"), content("b")]);
  const file = shorter.kept.get(`${FOLDER}/audit-000001.jsonl`)!;
  file.bytes = file.bytes.slice(0, file.bytes.lastIndexOf(10, file.bytes.length - 2) + 1);
  const found = open(shorter);
  assert.deepEqual(found.findings.map((one) => one.rule), ["audit.truncated"]);
  found.log.write([content("c")]);
  assert.deepEqual(verify(shorter, firstKey).bad?.rule, "audit.seq");

  // The key state is gone, or is not whole: another chain begins, and the old one is there to be verified.
  for (const damage of ["gone", "other"]) {
    const disk = new CutDisk();
    const old = open(disk).log;
    const oldKey = Uint8Array.from(old.unshown ?? []);
    old.write([content("a")]);
    if (damage === "gone") disk.kept.delete(KEY_FILE);
    else disk.kept.get(KEY_FILE)!.bytes = new Uint8Array(1024);
    const next = open(disk);
    assert.deepEqual(next.findings.map((one) => one.rule), ["audit.key_lost"]);
    next.log.write([content("b")]);
    const report = verify(disk, next.log.unshown);
    assert.ok(report.ok);
    assert.match(report.notes[0] ?? "", /begins anew/);
    assert.equal(verify(disk, oldKey).bad?.rule, "audit.key");
  }
});

Deno.test("AuditLog says that a disk is not the one the image was made for", () => {
  const disk = new CutDisk();
  const { log } = open(disk);
  assert.deepEqual(open(disk, { expected: log.fingerprint }).findings, []);
  const other = open(disk, { expected: "0".repeat(32) }).findings;
  assert.deepEqual(other.map((one) => one.rule), ["audit.fingerprint"]);
});

Deno.test("readFingerprint takes the image's word, and a word that is none fits no log", () => {
  const { log } = open(new CutDisk());
  assert.equal(readFingerprint(null), null);
  assert.equal(readFingerprint(`${log.fingerprint}\n`), log.fingerprint);
  const wrong = ["", "\n", `${log.fingerprint}0`, `${log.fingerprint} x`, log.fingerprint.slice(1)];
  for (const text of wrong) assert.notEqual(readFingerprint(text), log.fingerprint, text);
  for (const text of wrong) assert.notEqual(readFingerprint(text), null, text);
});

Deno.test("AuditLog keeps ten files, and a file that somebody else took stays missed", () => {
  const disk = new CutDisk();
  const { log } = open(disk);
  const key = Uint8Array.from(log.unshown ?? []);
  log.forgetKey();
  assert.equal(log.unshown, null);
  const some = Array.from({ length: 200 }, (_, n) => ({
    event: "audit_deny",
    time: now(),
    data: { n, a: "x".repeat(500), b: "y".repeat(500), c: "z".repeat(500), d: "u".repeat(500) },
  }));
  const fill = (files: number) => {
    const last = Number(disk.list(FOLDER).at(-1)?.match(/\d+/)?.[0]) + files;
    while (Number(disk.list(FOLDER).at(-1)?.match(/\d+/)?.[0]) < last) log.write(some);
  };
  fill(11);
  const names = disk.list(FOLDER);
  assert.deepEqual([names.length, names[0]], [MAX_FILES, "audit-000003.jsonl"]);
  for (const part of partsOn(disk)) assert.ok(part.bytes.length < MAX_FILE_BYTES + 1024 * 1024);
  const parts = partsOn(disk);
  const state = decodeKeyState(disk.kept.get(KEY_FILE)!.bytes);
  // All of it with hashes alone; with the key, which takes longer, from where it was cut off.
  const whole = verifyAll(parts, { key: null, head: null, state });
  assert.ok(whole.ok, whole.bad?.what);
  assert.match(whole.notes.join(), /^records 1 to \d+ are not here: record \d+ of /);
  const before = { seq: 1, hash: "0".repeat(64) };
  const stale = verifyAll(parts, { key: null, head: before, state });
  assert.deepEqual([stale.ok, stale.bad?.rule, stale.anchor], [false, "audit.head", "none"]);
  assert.equal(
    verifyAll(parts.slice(1), { key: null, head: null, state }).bad?.rule,
    "audit.missing",
  );
  assert.equal(verifyAll(parts.slice(0, 1), { key, head: null, state: null }).anchor, "key");
});

/** The log's records, in order. */
function recordsOn(disk: CutDisk): AuditRecord[] {
  return partsOn(disk).flatMap((part) =>
    [...linesOf(part.bytes)].flatMap(({ bytes }) => readRecord(bytes) ?? [])
  );
}

function auditOn(disk: CutDisk, makeRoom: () => boolean = () => false) {
  const lost: string[] = [];
  const onLost = (reason: string) => lost.push(reason);
  const audit = new Audit(disk, { now, onLost, onBack: () => {}, makeRoom, looks: () => false });
  return { audit, lost };
}

const asked = (vm: string) => ({
  caller: "socket",
  op: "vm.start",
  vm,
  allow: true,
  rule: null,
  detail: null,
});

Deno.test("Audit denies what exposes while nothing can be written, says so once, and goes on by itself", () => {
  const disk = new CutDisk();
  const { audit, lost } = auditOn(disk);
  assert.notEqual(audit.decided(asked("early"), true), null, "before there is a log");
  assert.deepEqual(audit.open(place()), []);
  const key = Uint8Array.from(audit.log?.unshown ?? []);
  assert.equal(audit.decided(asked("a"), true), null);
  for (const room of [0, 1, 100, 250]) {
    disk.room = room;
    assert.match(audit.decided(asked(`full${room}`), true)?.detail ?? "", /ENOSPC/);
    assert.match(audit.decided(asked(`full${room}again`), true)?.detail ?? "", /ENOSPC/);
    assert.equal(audit.decided({ ...asked("b"), op: "vm.stop" }, false), null, "a stop needs none");
    disk.room = Infinity;
    assert.equal(audit.decided(asked(`room${room}`), true), null);
  }
  assert.equal(lost.length, 4, "told once each time");
  const report = verify(disk, key);
  assert.ok(report.ok, `${report.bad?.line} ${report.bad?.what}`);
  const said = recordsOn(disk).map(({ event, data }) => `${event} ${data["vm"]} ${data["rule"]}`);
  for (const room of [0, 1, 100, 250]) {
    for (const word of [`full${room}`, `full${room}again`]) {
      const about = said.filter((one) => one.includes(` ${word} `));
      assert.deepEqual(about, [`audit_deny ${word} audit.unwritable`], "it was not given");
    }
    const given = said.filter((one) => one.includes(` room${room} `));
    assert.deepEqual(given, [`audit_allow room${room} undefined`]);
  }
  assert.ok(said.includes("audit_deny early audit.unwritable"));
});

Deno.test("Audit has older logs make room before it gives up", () => {
  const disk = new CutDisk();
  let made = 0;
  const { audit, lost } = auditOn(disk, () => {
    made++;
    disk.room = Infinity;
    return true;
  });
  audit.open(place());
  disk.room = 10;
  assert.equal(audit.decided(asked("a"), true), null);
  assert.deepEqual([made, lost.length], [1, 1]);
});

Deno.test("Audit seals at the end, and nothing is written after it", () => {
  const disk = new CutDisk();
  const { audit } = auditOn(disk);
  audit.open(place());
  const key = Uint8Array.from(audit.log?.unshown ?? []);
  audit.decided(asked("a"), true);
  const head = audit.end({ type: "shutdown", how: "poweroff", reason: "asked" });
  const steps = disk.steps;
  assert.notEqual(audit.decided(asked("late"), true), null);
  audit.observe({ type: "policy_unsigned" });
  audit.flush();
  assert.equal(disk.steps, steps);
  const lines = disk.text(`${FOLDER}/audit-000001.jsonl`).trimEnd().split("\n");
  assert.match(lines.at(-2) ?? "", /RAYOS_SHUTDOWN:poweroff:asked/);
  assert.match(lines.at(-1) ?? "", /audit_seal/);
  assert.deepEqual(head, { seq: lines.length, hash: sha256Hex(lines.at(-1) ?? "") });
  assert.ok(verify(disk, key).ok);
});
