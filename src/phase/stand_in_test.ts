import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { fakeRuntime } from "../../test/fake_runtime.ts";
import { decodeKeyState } from "../audit/key_state.ts";
import { linesOf } from "../audit/lines_of.ts";
import { type AuditRecord, readRecord } from "../audit/record.ts";
import { verifyAll } from "../audit/verify.ts";
import type { Runtime } from "../runtime.ts";
import { AUDIT_FOLDER, AUDIT_KEY_FILE } from "./audit.ts";
import { bootViewOperations } from "./boot_view.ts";
import { reportNotReady } from "./crash.ts";
import { phaseData } from "./data.ts";

const BOOT = "11111111-2222-3333-4444-555555555555";
const LOG = `/var/rayos/logs/boot/${BOOT}.log`;

/** A host whose data root is another one each time that something is mounted. */
function machine(): { host: FakeHost; disk: (there: boolean) => void } {
  const host = new FakeHost();
  let there = false;
  host.seed("/run/rayos/proc/1/mountinfo", "");
  const mounted = (source: string | null) => {
    for (const path of [...host.files.keys()]) {
      if (path.startsWith("/var/rayos/")) host.files.delete(path);
    }
    const line = source === null ? "" : `1 0 0:1 / /var/rayos rw - any ${source} rw\n`;
    host.seed("/run/rayos/proc/1/mountinfo", line);
  };
  host.launcher = (name, args) => {
    const call = [name, ...args].join(" ");
    if (call === "mount release") mounted(null);
    if (call === "mount tmpfs") mounted("rayos-data");
    if (call.startsWith("mount data")) mounted("/dev/vda");
    const fault = call.startsWith("mount find") && !there;
    const words = fault
      ? ["fault", "data.read_only", "x"]
      : call.startsWith("mount find")
      ? ["ok", "/dev/vda"]
      : call === "mount space"
      ? ["ok", "99999999", "999999999"]
      : ["ok", "clean"];
    return { code: fault ? 1 : 0, words };
  };
  return { host, disk: (is) => there = is };
}

function records(host: FakeHost): AuditRecord[] {
  return host.list(AUDIT_FOLDER).flatMap((name) =>
    [...linesOf(host.files.get(`${AUDIT_FOLDER}/${name}`) ?? new Uint8Array())]
      .flatMap((piece) => readRecord(piece.bytes) ?? [])
  );
}

const begun = (host: FakeHost, start: number) =>
  fakeRuntime(host, { bootId: BOOT, starts: { start, diedBeforeReady: 0 } });

async function standsIn(runtime: Runtime): Promise<void> {
  await assert.rejects(phaseData(runtime), /RayOS Data/);
  assert.equal(runtime.dataDevice, "tmpfs");
}

function holdsAll(runtime: Runtime, host: FakeHost, reasons: readonly string[]): void {
  runtime.audit.flush();
  const log = host.readText(LOG, 1 << 20) ?? "";
  let at = -1;
  for (const reason of reasons) {
    const found = log.indexOf(`RAYOS_SAFE_MODE:${reason}\n`);
    assert.ok(found > at, `${reason} in its place in the log`);
    assert.equal(log.split(`RAYOS_SAFE_MODE:${reason}\n`).length, 2, `${reason} once`);
    at = found;
  }
  const recorded = records(host).filter((one) => one.event.startsWith("RAYOS_SAFE_MODE"));
  assert.deepEqual(
    recorded.map((one) => one.event),
    reasons.map((reason) => `RAYOS_SAFE_MODE:${reason}`),
  );
  const last = reasons.length - 1;
  assert.deepEqual(
    recorded.map((one) => one.data["carried"]),
    reasons.map((_, n) => n === last ? undefined : true),
  );
  const parts = host.list(AUDIT_FOLDER).map((name) => ({
    name,
    bytes: host.files.get(`${AUDIT_FOLDER}/${name}`) ?? new Uint8Array(),
  }));
  const state = decodeKeyState(host.files.get(AUDIT_KEY_FILE) ?? new Uint8Array());
  const report = verifyAll(parts, { key: state?.unshown ?? null, head: null, state });
  assert.deepEqual([report.ok, report.anchor], [true, "key"], report.bad?.what);
}

Deno.test("what memory that stood in for the disk had of log and audit log is on the disk that comes", async () => {
  const { host, disk } = machine();
  const runtime = begun(host, 1);
  await standsIn(runtime);
  runtime.emit({ type: "safe_mode", reason: "first" });
  // It does not come up; what was there once is not lost by it.
  await standsIn(runtime);
  runtime.emit({ type: "safe_mode", reason: "second" });
  disk(true);
  await phaseData(runtime);
  assert.equal(runtime.dataDevice, "/dev/vda");
  runtime.emit({ type: "safe_mode", reason: "third" });
  holdsAll(runtime, host, ["first", "second", "third"]);
});

Deno.test("a start of the program after one that had memory only takes over what is in it", async () => {
  const { host, disk } = machine();
  const before = begun(host, 1);
  await standsIn(before);
  before.emit({ type: "safe_mode", reason: "first" });
  before.audit.close();
  before.sinks.closeFiles();
  disk(true);
  const runtime = begun(host, 2);
  await phaseData(runtime);
  runtime.emit({ type: "safe_mode", reason: "second" });
  holdsAll(runtime, host, ["first", "second"]);
});

Deno.test("more than waits for a disk is counted in the audit log", async () => {
  const { host, disk } = machine();
  const runtime = begun(host, 1);
  await standsIn(runtime);
  for (let n = 0; n < 6000; n++) {
    runtime.emit({ type: "data_fault", code: `x.${n}`, detail: "d" });
    runtime.emit({ type: "safe_mode", reason: `r${n}` });
    if (n % 1000 === 0) runtime.audit.flush();
  }
  disk(true);
  await phaseData(runtime);
  runtime.audit.flush();
  const lost = records(host).find((one) => one.event === "audit_lost");
  const there = records(host).filter((one) => one.event.startsWith("RAYOS_SAFE_MODE")).length;
  assert.ok(Number(lost?.data["count"]) > 0 && there <= 4096);
});

Deno.test("a data root that does not come up is reported with every line until then: shown from memory, filed on the disk", async () => {
  const { host, disk } = machine();
  const runtime = begun(host, 1);
  for (let n = 0; n < 300; n++) runtime.emit({ type: "data_fault", code: `x.${n}`, detail: "d" });
  const shown = async () => {
    const operation = new Map(bootViewOperations(runtime)).get("crash.show");
    return await operation?.({} as never, { boot: BOOT }, "console");
  };
  await standsIn(runtime);
  await standsIn(runtime);
  assert.match(
    JSON.stringify(await shown()),
    /"n":1,.*"cause":"no_data".*code=x\.0 .*code=x\.299 /,
  );
  disk(true);
  await phaseData(runtime);
  assert.match(
    JSON.stringify(await shown()),
    /"n":1,.*"cause":"no_data".*code=x\.0 .*code=x\.299 /,
  );
  assert.deepEqual(host.list(`/var/rayos/crash/${BOOT}`), ["report.json"], "once in a boot");
  assert.match(
    host.consoleText.join(""),
    new RegExp(`RAYOS_CRASH:${BOOT} cause=no_data phase=start`),
  );
});

Deno.test("while nothing is mounted, crash list and show have what waits", async () => {
  const { host } = machine();
  const runtime = begun(host, 1);
  reportNotReady(runtime, "late");
  const operations = new Map(bootViewOperations(runtime));
  const list = await operations.get("crash.list")?.({} as never, {}, "console");
  assert.match(JSON.stringify(list), /"cause":"not_ready","phase":"start","message":"late"/);
  const show = await operations.get("crash.show")?.(
    {} as never,
    { boot: BOOT.slice(0, 8) },
    "console",
  );
  assert.match(JSON.stringify(show), /"message":"late"/);
});
