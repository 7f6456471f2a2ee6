import assert from "node:assert/strict";
import fc from "fast-check";
import { beginChain, type ChainState, FILE, link, nextEpoch, NO_LINE, SEAL } from "./chain.ts";
import { Follower } from "./follower.ts";
import { linesOf } from "./lines_of.ts";
import type { Content } from "./record.ts";
import { readRecord } from "./record.ts";
import { MAX_FILES } from "./retention.ts";
import { KEY, sampleContent, type SampleLog, sampleLog } from "./testdata/sample_log.ts";
import { type Anchors, type LogPart, verifyAll } from "./verify.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const withKey = ({ state }: SampleLog): Anchors => ({ key: KEY, head: null, state });
const keyAlone: Anchors = { key: KEY, head: null, state: null };
const nothing: Anchors = { key: null, head: null, state: null };

const linesIn = (part: LogPart) => decoder.decode(part.bytes).split("\n").slice(0, -1);
const partOf = (name: string, lines: readonly string[]): LogPart => ({
  name,
  bytes: encoder.encode(lines.map((line) => `${line}\n`).join("")),
});

/** The sample with the lines of one of its files changed. */
function changed(log: SampleLog, file: number, change: (lines: string[]) => string[]): LogPart[] {
  return log.parts.map((part, n) => n === file ? partOf(part.name, change(linesIn(part))) : part);
}

Deno.test("verifyLog finds each bit of a log of 200 records that is flipped, at its record", () => {
  const log = sampleLog(200);
  const counts = new Map<string, number>();
  const kinds = new Map<string, number>();
  let flips = 0;
  let whole = 0;
  let record = 0;
  const seen = (counted: Map<string, number>, name: string) =>
    counted.set(name, (counted.get(name) ?? 0) + 1);
  for (const [file, part] of log.parts.entries()) {
    for (const { bytes, line } of linesOf(part.bytes)) {
      const start = bytes.byteOffset - part.bytes.byteOffset;
      const before = log.before[record] as ChainState;
      for (let at = 0; at <= bytes.length; at++) {
        for (let bit = 0; bit < 8; bit++, flips++) {
          const flipped = Uint8Array.from(part.bytes.subarray(start, start + bytes.length + 1));
          flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
          // What is before it is as it was: its own lines alone say what the verifier would.
          let rule = "";
          for (const piece of linesOf(flipped)) {
            const follower = new Follower(before, true);
            rule = piece.whole ? follower.take(piece.bytes)?.rule ?? "" : "audit.line";
            if (rule !== "") break;
          }
          assert.notEqual(rule, "", `${part.name}:${line}, byte ${at}, bit ${bit}`);
          seen(counts, rule);
          seen(kinds, at === bytes.length ? "newline" : "text");
          // One in so many by the whole; more of them where a file begins.
          const begins = line === 1 && flips % 11 === 0;
          const joins = at === bytes.length && bit === 0;
          if (flips % 1999 !== 0 && !begins && !joins) continue;
          whole++;
          const all = Uint8Array.from(part.bytes);
          all.set(flipped, start);
          const parts = log.parts.map((one, n) => n === file ? { ...one, bytes: all } : one);
          const report = verifyAll(parts, withKey(log));
          const where = `${part.name}:${line}, byte ${at}, bit ${bit}`;
          assert.equal(report.ok, false, where);
          const found = [report.bad?.file, report.bad?.line, report.bad?.seq, report.records];
          if (record === 0) {
            // Which chain it is and where it begins is the first record's own word: what breaks that is
            // noticed there, or by the record behind it.
            const [name, at = null, , believed] = found;
            assert.ok(name === part.name && at !== null && Number(at) <= 2, where);
            assert.equal(believed, Number(at) - 1, where);
          } else if (report.bad?.line === null) {
            // The end could be what a power cut left; the key state knows better.
            assert.ok(record === 199 || record === 198 && at === bytes.length, where);
            assert.deepEqual(found, [part.name, null, record + 1, record], where);
          } else assert.deepEqual(found, [part.name, line, record + 1, record], where);
        }
      }
      record++;
    }
  }
  assert.ok(verifyAll(log.parts, withKey(log)).ok, "and none is found where none is flipped");
  console.log(
    `      200 records, ${flips} bits flipped, ${flips} found ` +
      `(${[...kinds].map(([name, count]) => `${name} ${count}`).join(", ")}); ` +
      `${whole} of them by a verification of the whole log`,
  );
  for (const [rule, count] of [...counts].sort((a, b) => b[1] - a[1])) {
    console.log(`      ${rule.padEnd(15)} ${String(count).padStart(7)}`);
  }
});

Deno.test("verifyLog finds a record that is deleted, swapped or there twice, with and without the key", () => {
  const log = sampleLog(200);
  for (const anchors of [withKey(log), keyAlone, nothing]) {
    const deleted = verifyAll(changed(log, 1, (lines) => lines.toSpliced(20, 1)), anchors);
    assert.deepEqual([deleted.bad?.line, deleted.bad?.rule], [21, "audit.seq"]);
    assert.equal(deleted.records, 100);
    const swapped = verifyAll(
      changed(log, 1, (lines) => lines.toSpliced(20, 2, lines[21] ?? "", lines[20] ?? "")),
      anchors,
    );
    assert.deepEqual([swapped.bad?.line, swapped.bad?.rule], [21, "audit.seq"]);
    const twice = verifyAll(
      changed(log, 1, (lines) => lines.toSpliced(20, 0, lines[19] ?? "")),
      anchors,
    );
    assert.deepEqual([twice.bad?.line, twice.bad?.rule], [21, "audit.seq"]);
  }
});

Deno.test("verifyLog finds that the end was cut off by the key state, or by a head kept elsewhere", () => {
  const log = sampleLog(200);
  const shorter = changed(log, 2, (lines) => lines.slice(0, -5));
  const byState = verifyAll(shorter, withKey(log));
  assert.deepEqual([byState.bad?.rule, byState.bad?.seq], ["audit.truncated", 196]);
  const head = { seq: 200, hash: log.state.chain.head };
  const byHead = verifyAll(shorter, { ...nothing, head });
  assert.deepEqual([byHead.bad?.rule, byHead.bad?.seq], ["audit.truncated", 200]);
  assert.ok(verifyAll(log.parts, { ...nothing, head }).ok);
  // Whole files too, from either end.
  assert.equal(verifyAll(log.parts.slice(0, 2), withKey(log)).bad?.rule, "audit.truncated");
  assert.equal(verifyAll(log.parts.slice(1), keyAlone).bad?.rule, "audit.missing");
  assert.equal(verifyAll([log.parts[0], log.parts[2]] as LogPart[], nothing).bad?.seq, 81);
});

Deno.test("verifyLog calls an empty or missing log a finding, and says how much is gone", () => {
  const log = sampleLog(20);
  assert.match(verifyAll([], withKey(log)).bad?.what ?? "", /it had 20 records/);
  assert.equal(verifyAll([], nothing).bad?.rule, "audit.missing");
  assert.equal(verifyAll([partOf("audit-000001.jsonl", [])], keyAlone).bad?.rule, "audit.missing");
});

Deno.test("verifyLog takes no segment of another boot or host for what belongs in its place", () => {
  const log = sampleLog(200);
  const older = changed(log, 2, (lines) => [...lines.slice(0, 10), ...linesIn(log.parts[1]!)]);
  assert.equal(verifyAll(older, keyAlone).bad?.rule, "audit.seq");
  const other = sampleLog(200, { key: KEY.map((byte) => byte ^ 1) });
  const mixed = [log.parts[0]!, log.parts[1]!, other.parts[2]!];
  assert.equal(verifyAll(mixed, keyAlone).bad?.rule, "audit.key");
  assert.equal(verifyAll(other.parts, keyAlone).bad?.rule, "audit.key");
  // With the right name on it, as one would forge it.
  const renamed = mixed.map((part) => ({
    ...part,
    bytes: encoder.encode(
      decoder.decode(part.bytes).replaceAll(
        other.state.chain.fingerprint,
        log.state.chain.fingerprint,
      ),
    ),
  }));
  assert.equal(verifyAll(renamed, keyAlone).ok, false);
});

/** Who knows the format, and had the disk and the key state when record `taken` had been written. */
function rewrite(log: SampleLog, taken: number, from: number, state: ChainState): LogPart[] {
  // Everything from there on anew, each line chained to the one before, under the keys that are there.
  let chain: ChainState = {
    ...(log.before[from - 1] as ChainState),
    recordKey: state.recordKey,
    nextEpochKey: state.nextEpochKey,
  };
  const lines = log.lines.slice(0, from - 1);
  for (let n = from; n <= taken; n++) {
    const old = readRecord(encoder.encode(log.lines[n - 1])) as Content;
    const forged = n === from ? { ...old, data: { ...old.data, n: "nothing happened" } } : old;
    const made = link(chain, forged);
    lines.push(made.line);
    chain = old.event === SEAL ? nextEpoch(made.next) : made.next;
  }
  const parts: LogPart[] = [];
  for (let at = 0; at < lines.length; at += 80) {
    const name = `audit-${String(parts.length + 1).padStart(6, "0")}.jsonl`;
    parts.push(partOf(name, lines.slice(at, at + 80)));
  }
  return parts;
}

Deno.test("verifyLog finds what was rewritten by one who had disk and key state later, with the key only", () => {
  for (const [taken, from] of [[200, 199], [200, 2], [120, 60], [100, 99], [51, 50]] as const) {
    const log = sampleLog(taken);
    const parts = rewrite(log, taken, from, log.state.chain);
    // Without an anchor it looks like a log, which is why none is claimed.
    const blind = verifyAll(parts, nothing);
    assert.deepEqual([blind.ok, blind.anchor], [true, "none"]);
    const seen = verifyAll(parts, keyAlone);
    assert.deepEqual([seen.ok, seen.bad?.seq, seen.bad?.rule], [false, from, "audit.mac"]);
    assert.equal(seen.records, from - 1);
  }
});

Deno.test("verifyLog believes what was written before a theft, whatever was written after it", () => {
  const taken = sampleLog(100);
  // The thief goes on with the keys that were there: that is theirs to do.
  let chain = taken.state.chain;
  const more: string[] = [];
  for (let n = 0; n < 20; n++) {
    const made = link(chain, sampleContent(n));
    more.push(made.line);
    chain = made.next;
  }
  const parts = [
    taken.parts[0]!,
    partOf(taken.parts[1]!.name, [...linesIn(taken.parts[1]!), ...more]),
  ];
  assert.ok(verifyAll(parts, keyAlone).ok);
  // But not one of the hundred can be left out.
  const without = [taken.parts[0]!, partOf(taken.parts[1]!.name, more)];
  assert.equal(verifyAll(without, keyAlone).ok, false);
});

Deno.test("verifyLog says what can be believed behind the bad place", () => {
  const log = sampleLog(200);
  const broken = changed(log, 1, (lines) => lines.with(20, lines[20]!.replace("guest-", "Guest-")));
  const report = verifyAll(broken, withKey(log));
  assert.deepEqual([report.bad?.rule, report.bad?.line, report.bad?.seq], ["audit.mac", 21, 101]);
  assert.deepEqual([report.records, report.sealedAfter], [100, 99]);
  assert.equal(verifyAll(broken, nothing).sealedAfter, 0);
});

Deno.test("verifyLog counts a record behind the bad place once, however often it stands there", () => {
  const log = sampleLog(200);
  const last = log.lines[199] ?? "";
  const broken = changed(
    log,
    2,
    (lines) => ["no record", ...lines.slice(1), ...Array(50).fill(last)],
  );
  const report = verifyAll(broken, withKey(log));
  assert.deepEqual([report.bad?.rule, report.records, report.sealedAfter], ["audit.line", 160, 39]);
});

Deno.test("verifyLog spends no time without end on places of the keys that forged lines name", () => {
  const log = sampleLog(100);
  const far = { ...log.state.chain, epoch: 900_000, index: 90_000 };
  const forged = Array.from({ length: 200 }, (_, n) => link(far, sampleContent(n)).line);
  const parts = changed(log, 1, (lines) => ["no record", ...forged, ...lines.slice(1)]);
  const before = performance.now();
  const report = verifyAll(parts, withKey(log));
  const ms = performance.now() - before;
  assert.ok(ms < 30_000, `${ms} ms; each of the 200 alone takes two seconds or so`);
  assert.equal(report.bad?.rule, "audit.line");
  assert.equal(report.sealedAfter, 19, "and the real ones behind them still count");
  assert.match(report.notes.join(), /not all were looked at/);
});

Deno.test("verifyLog names a line that was cut off at the end, and calls it no forgery", () => {
  const log = sampleLog(100);
  const next = link(log.state.chain, sampleContent(101)).line;
  for (let length = 1; length < next.length; length++) {
    const last = log.parts[1]!;
    const bytes = encoder.encode(decoder.decode(last.bytes) + next.slice(0, length));
    const report = verifyAll([log.parts[0]!, { ...last, bytes }], withKey(log));
    assert.ok(report.ok, `${length}: ${report.bad?.what}`);
    assert.match(report.notes[0] ?? "", /cut off while it was written/);
  }
  // All but its newline: the record is there.
  const bytes = encoder.encode(decoder.decode(log.parts[1]!.bytes) + next);
  const all = verifyAll([log.parts[0]!, { ...log.parts[1]!, bytes }], withKey(log));
  assert.deepEqual([all.ok, all.records, all.notes], [true, 101, []]);
  // The same bytes in the middle, with nothing that accounts for them.
  const middle = verifyAll(
    changed(log, 0, (lines) => lines.toSpliced(30, 0, next.slice(0, 50))),
    withKey(log),
  );
  assert.deepEqual([middle.bad?.line, middle.bad?.rule], [31, "audit.line"]);
});

Deno.test("verifyLog refuses a head of another record", () => {
  const log = sampleLog(200);
  const first = readRecord(encoder.encode(log.lines[99]));
  const known = { seq: 99, hash: first?.prev ?? "" };
  const good = verifyAll(log.parts, { ...nothing, head: known });
  assert.deepEqual([good.ok, good.anchor], [true, "head"]);
  const wrong = verifyAll(log.parts, { ...nothing, head: { ...known, hash: "0".repeat(64) } });
  assert.deepEqual([wrong.ok, wrong.bad?.rule, wrong.anchor], [false, "audit.head", "none"]);
});

Deno.test("verifyLog is not content with a head that the log no longer reaches back to", () => {
  const log = sampleLog(200);
  const old = { seq: 80, hash: readRecord(encoder.encode(log.lines[80]))?.prev ?? "" };
  // As somebody makes it up who knows the head: it begins behind it, and even names it.
  for (const prev of [old.hash, "1".repeat(64)]) {
    for (const seq of [80, 5000]) {
      const parts = [partOf("audit-000001.jsonl", madeUp({ seq, head: prev, oldest: 1 }, 5))];
      const report = verifyAll(parts, { ...nothing, head: old });
      assert.deepEqual([report.ok, report.anchor], [false, "none"]);
    }
    const tidied = [partOf("audit-000001.jsonl", madeUp({ seq: 0, head: NO_LINE, oldest: 1 }, 5))];
    assert.equal(verifyAll(tidied, { ...nothing, head: old }).bad?.rule, "audit.truncated");
  }
});

/** Lines of a file that begins behind that record, by somebody without any key. */
function madeUp(
  { seq, head, oldest }: { seq: number; head: string; oldest: number },
  count: number,
): string[] {
  return linked({ ...beginChain(KEY.map((byte) => byte ^ 255)), seq, head }, oldest, count).lines;
}

/** Lines of a file under the keys of that state. */
function linked(from: ChainState, oldest: number, count: number) {
  let chain = from;
  const lines: string[] = [];
  const data = { version: 0, file: 4, oldest, chain: from.fingerprint };
  for (let n = 0; n < count; n++) {
    const time = "2026-11-24T13:00:00.000Z";
    const content = n === 0 ? { event: FILE, time, data } : sampleContent(n);
    const made = link(chain, content);
    lines.push(made.line);
    chain = made.next;
  }
  return { lines, chain };
}

Deno.test("verifyLog misses what a thief deleted, though the keys that were there say it is not kept", () => {
  const log = sampleLog(200);
  for (const [first, count] of [[4, 1], [4, MAX_FILES], [3, 2]] as const) {
    // The files before are deleted, and one is begun in good form that says so.
    const { chain } = log.state;
    const parts: LogPart[] = first === 4 ? [] : [log.parts[2]!];
    let at = chain;
    const oldest = first === 4 ? chain.seq + 1 : 161;
    for (let n = parts.length; n < count; n++) {
      const made = linked(at, oldest, 4);
      parts.push(partOf(`audit-${String(n + first).padStart(6, "0")}.jsonl`, made.lines));
      at = made.chain;
    }
    const state = { ...log.state, chain: at, oldest, file: first + count - 1 };
    const report = verifyAll(parts, { key: KEY, head: null, state });
    assert.deepEqual([report.ok, report.bad?.rule], [false, "audit.missing"]);
  }
});

Deno.test("verifyLog never throws and never believes bytes that nobody sealed", () => {
  const log = sampleLog(12, { perFile: 6, sealEvery: 5 });
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom(...log.lines),
          fc.string({ unit: "binary" }),
          fc.json(),
          fc.constantFrom(...log.lines).map((line) => line.replace(/"seq":(\d+)/, '"seq":9$1')),
        ),
        { maxLength: 20 },
      ),
      (lines) => {
        const report = verifyAll([partOf("audit-000001.jsonl", lines)], keyAlone);
        const genuine = lines.every((line, n) => line === log.lines[n] || line === "");
        // What is left out after the last line alone needs the key state to be missed.
        if (report.ok) assert.ok(genuine || lines.length > report.records, lines.join("\n"));
        assert.ok(report.records <= 12);
      },
    ),
  );
});

Deno.test("verifyLog takes a place of the keys that no log reaches for a forgery, in no time", () => {
  const far = link({ ...beginChain(KEY), epoch: 2 ** 40, index: 2 ** 40 }, {
    event: FILE,
    time: "mono:1",
    data: { version: 0, file: 1, oldest: 1, chain: beginChain(KEY).fingerprint },
  }).line;
  const report = verifyAll([partOf("audit-000001.jsonl", [far])], keyAlone);
  assert.equal(report.bad?.rule, "audit.mac");
});
