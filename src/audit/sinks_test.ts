import assert from "node:assert/strict";
import type { HostEvent } from "../event.ts";
import type { AppendFile, Host } from "../host/port.ts";
import { issue } from "../issue.ts";
import type { VmId } from "../id.ts";
import { BURST_LINES, LINE_CHARACTERS } from "./budget.ts";
import { MAX_FILE_BYTES, MAX_FILES } from "./retention.ts";
import { LogSinks, removableLogs } from "./sinks.ts";

const FOUND: HostEvent = {
  type: "finding",
  issue: issue("note.x", { expected: "a", found: "b", severity: "note" }),
};
const VIOLATION: HostEvent = {
  type: "violation",
  issue: issue("sig.x", { expected: "a", found: "b" }),
  vm: null,
};

/** A host that keeps what is written, and whose disk can be full. */
class SinkHost {
  readonly texts = new Map<string, string>();
  readonly sizes = new Map<string, number>();
  console = "";
  harness = "";
  full = false;
  /** Full until so many files were removed. */
  fullUntilRemoved = 0;

  readonly host = {
    clock: { monoMs: () => 12.4, wall: () => new Date("2026-11-24T00:00:00Z") },
    console: (text: string) => this.console += text,
    harness: (text: string) => this.harness += text,
    append: (path: string) => this.#append(path),
    lstat: (path: string) => {
      const size = this.texts.get(path)?.length;
      return size === undefined ? null : { type: "file", size, modifiedMs: 0 };
    },
    list: (path: string) =>
      [...this.texts.keys()].filter((one) => one.startsWith(`${path}/`))
        .map((one) => one.slice(path.length + 1).split("/")[0] ?? ""),
    remove: (path: string) => {
      if (this.fullUntilRemoved > 0 && this.texts.has(path)) this.fullUntilRemoved--;
      this.#forget(path);
    },
    rename: (from: string, to: string) => {
      const text = this.texts.get(from);
      if (text === undefined) throw new Error(`ENOENT: no such file, rename ${from}`);
      this.texts.set(to, text);
      this.#forget(from);
    },
  } as unknown as Host;

  #forget(path: string): void {
    this.texts.delete(path);
    this.sizes.delete(path);
  }

  #append(path: string): AppendFile {
    this.texts.set(path, this.texts.get(path) ?? "");
    const size = () => this.sizes.get(path) ?? 0;
    return {
      get size() {
        return size();
      },
      append: (bytes) => {
        if (this.full || this.fullUntilRemoved > 0) {
          throw new Error("ENOSPC: no space left on device");
        }
        this.texts.set(path, (this.texts.get(path) ?? "") + new TextDecoder().decode(bytes));
        this.sizes.set(path, size() + bytes.length);
      },
      sync: () => {},
      close: () => {},
    };
  }
}

const MAIN = "/d/logs/rayos.log";

Deno.test("LogSinks writes what waited for the disk, in order, to both files", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  sinks.emit(FOUND);
  sinks.emit(VIOLATION);
  assert.equal(sink.texts.size, 0);
  sinks.openFiles("/d", "boot");
  assert.equal(sink.texts.get(MAIN), sink.console);
  assert.equal(sink.texts.get("/d/logs/boot/boot.log"), sink.console);
  assert.match(sink.console, /^mono:12 INFO policy finding .*\nmono:12 ERROR policy RAYOS_/);
});

Deno.test("LogSinks keeps a bounded ring and says how many lines it lost", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  for (let n = 0; n < 2500; n++) sinks.emit(VIOLATION);
  sinks.openFiles("/d", "boot");
  assert.match(sink.texts.get(MAIN) ?? "", /log_dropped sink=ring lines=500\n$/);
  assert.equal(sinks.lastLines(5000).length, 2000);
});

Deno.test("LogSinks begins each harness line with the run number, earlier lines too", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  sinks.emit(FOUND);
  assert.equal(sink.harness, "");
  sinks.setHarness("00112233aabbccdd");
  sinks.emit(VIOLATION);
  const lines = sink.harness.trimEnd().split("\n");
  assert.equal(lines.length, 2);
  assert.ok(lines.every((line) => line.startsWith("00112233aabbccdd mono:12 ")));
});

Deno.test("LogSinks honours level and persist, but a violation is always written", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  sinks.openFiles("/d", "boot");
  sinks.setPolicy({ level: "error", persist: false });
  sinks.emit(FOUND);
  sinks.emit({ type: "policy_unsigned" });
  sinks.emit({ type: "audit_sealed", seq: 3, head: "ab" });
  sinks.emit(VIOLATION);
  assert.match(
    sink.console,
    /^mono:12 WARN policy RAYOS_POLICY_UNSIGNED\n.* audit_sealed seq=3 .*\n.*RAYOS_POLICY_VIOLATION/,
  );
  assert.match(sink.texts.get(MAIN) ?? "", /^[^\n]*RAYOS_POLICY_VIOLATION[^\n]*\n$/);
});

Deno.test("LogSinks has on the disk what came before a policy that keeps no log, and a report's lines after it", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  sinks.emit({ type: "data_fault", code: "x", detail: "before the disk" });
  sinks.openFiles("/d", "boot");
  sinks.emit({ type: "data_fault", code: "x", detail: "before the policy" });
  sinks.setPolicy({ level: "info", persist: false });
  sinks.emit({ type: "data_fault", code: "x", detail: "after it" });
  for (const file of [MAIN, "/d/logs/boot/boot.log"]) {
    assert.match(sink.texts.get(file) ?? "", /^.*before the disk"\n.*before the policy"\n$/);
  }
  assert.match(sinks.lastLines(1)[0] ?? "", /after it/);
});

Deno.test("LogSinks rotates at the limit, keeps ten files, and the oldest goes", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  sinks.openFiles("/d", "boot");
  for (let n = 0; n < MAX_FILES + 3; n++) {
    sink.sizes.set(MAIN, MAX_FILE_BYTES);
    sinks.emit({ type: "data_fault", code: "x", detail: `line ${n}` });
  }
  const names = [...sink.texts.keys()].filter((name) => name.startsWith(MAIN)).sort();
  assert.equal(names.length, MAX_FILES);
  assert.ok(names.includes(`${MAIN}.9`) && !names.includes(`${MAIN}.10`));
  assert.match(sink.texts.get(MAIN) ?? "", /line 12"\n$/);
});

Deno.test("LogSinks goes on without a disk that is full, and says so once", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  sinks.openFiles("/d", "boot");
  sink.full = true;
  sinks.emit(FOUND);
  sinks.emit(FOUND);
  assert.equal(sink.console.match(/code=log\.unwritable/g)?.length, 1);
  assert.equal(sink.console.match(/ finding /g)?.length, 2);
});

Deno.test("LogSinks has the oldest of the most talkative category make room, and says so once", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  const old = ["/d/logs/boot/a.log", "/d/logs/boot/b.log", "/d/logs/rayos.log.1"];
  for (const path of [...old, "/d/logs/audit/audit-000001.jsonl"]) {
    sink.texts.set(path, "x".repeat(100));
  }
  sinks.openFiles("/d", "boot");
  sink.fullUntilRemoved = 2;
  sinks.emit(FOUND);
  sinks.emit(FOUND);
  assert.deepEqual([...sink.texts.keys()].sort(), [
    "/d/logs/audit/audit-000001.jsonl",
    "/d/logs/boot/boot.log",
    "/d/logs/rayos.log",
    "/d/logs/rayos.log.1",
  ]);
  assert.equal(sink.console.match(/ retention removed=1 bytes=100 category=boot/g)?.length, 1);
  assert.equal(sink.texts.get(MAIN)?.match(/ finding /g)?.length, 2);
  // Nothing is left but the audit log, which never goes.
  sink.full = true;
  sinks.emit(FOUND);
  assert.ok(sink.texts.has("/d/logs/audit/audit-000001.jsonl"));
  assert.match(sink.console, /code=log\.unwritable/);
});

Deno.test("removableLogs leaves alone what cannot be looked at, such as a guest's folder that is a link", () => {
  const loop = () => {
    throw new Error("Too many levels of symbolic links (os error 40)");
  };
  const host = {
    list: (path: string) => path.endsWith("/vm/linux") ? ["planted", "good"] : loop(),
    lstat: (path: string) =>
      path.includes("planted") ? loop() : { type: "file", size: 7, modifiedMs: 0 },
  } as unknown as Host;
  assert.deepEqual(removableLogs(host, "/d", null).map((one) => one.path), [
    "/d/vm/linux/good/logs/console.log.1",
  ]);
});

Deno.test("LogSinks goes on with a boot's log whose new file could not be made at once", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  sinks.openFiles("/d", "boot");
  sink.sizes.set("/d/logs/boot/boot.log", MAX_FILE_BYTES);
  sink.texts.set("/d/logs/rayos.log.1", "x".repeat(100));
  let failing = 1;
  const append = sink.host.append;
  sink.host.append = (path) => {
    if (!path.includes("boot")) return append(path);
    // The file that is open knows its own size, whatever became of its name.
    const isFull = failing-- > 0;
    sink.sizes.set(path, isFull ? MAX_FILE_BYTES : 0);
    if (isFull) throw new Error("ENOSPC: no space left on device");
    return append(path);
  };
  sinks.emit(FOUND);
  sinks.emit(FOUND);
  assert.doesNotMatch(sink.console, /log\.unwritable/);
  assert.equal(sink.texts.get("/d/logs/boot/boot.log")?.match(/ finding /g)?.length, 2);
});

Deno.test("LogSinks limits a flood of one source, and says how much it dropped", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  for (let n = 0; n < 1500; n++) sinks.emit(FOUND);
  assert.equal(sink.console.match(/ finding /g)?.length, 1000);
  sinks.emit(VIOLATION);
  assert.match(sink.console, /log_dropped sink=policy lines=500\n.*RAYOS_POLICY_VIOLATION/);
});

Deno.test("LogSinks limits how much of the console one source has, not only how many lines", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  const message = "x".repeat(4 * LINE_CHARACTERS);
  for (let n = 0; n < 1500; n++) {
    sinks.emit({
      type: "fault",
      stage: "guest",
      code: "qmp.refused",
      message,
      vm: "hostile" as VmId,
    });
  }
  const written = sink.console.match(/ fault /g)?.length ?? 0;
  assert.ok(written > BURST_LINES / 8 && written < BURST_LINES / 4, `${written} lines`);
});

Deno.test("LogSinks writes the kernel's words to the log alone, as a value that makes no line", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  sinks.setHarness("00112233aabbccdd");
  sinks.openFiles("/d", "boot");
  const text = "a\n2026-11-24T00:00:00.000Z INFO init RAYOS_READY mode=normal";
  sinks.emit({ type: "kernel", priority: 3, text, ms: 12 });
  sinks.setHarness("00112233aabbccdd");
  assert.deepEqual([sink.console, sink.harness], ["", ""]);
  assert.equal(
    sink.texts.get(MAIN),
    'mono:12 ERROR kernel kernel at_ms=12 text="a\\n2026-11-24T00:00:00.000Z INFO init ' +
      'RAYOS_READY mode=normal"\n',
  );
});

Deno.test("LogSinks writes nothing after the shutdown line", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  sinks.emit({ type: "shutdown", how: "poweroff", reason: "asked" });
  sinks.emit(VIOLATION);
  assert.equal(sink.console, "mono:12 INFO init RAYOS_SHUTDOWN:poweroff:asked\n");
});

Deno.test("LogSinks keeps a boot's newest lines, however many it has, in two files", () => {
  const sink = new SinkHost();
  const sinks = new LogSinks(sink.host);
  sinks.openFiles("/d", "boot");
  const boot = "/d/logs/boot/boot.log";
  for (let n = 0; n < 3; n++) {
    sink.sizes.set(boot, MAX_FILE_BYTES);
    sinks.emit({ type: "data_fault", code: "x", detail: `line ${n}` });
  }
  assert.match(sink.texts.get(boot) ?? "", /^[^\n]*line 2"\n$/);
  assert.match(sink.texts.get(`${boot}.1`) ?? "", /^[^\n]*line 1"\n$/);
  assert.equal([...sink.texts.keys()].filter((name) => name.startsWith(boot)).length, 2);
});
