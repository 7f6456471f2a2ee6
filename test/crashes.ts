/** A start of the program after one that ended without a word, and what it says and files. For tests only. */

import { FakeHost } from "./fake_host.ts";
import { fakeRuntime } from "./fake_runtime.ts";
import { readReport } from "../src/audit/crash.ts";
import type { LastKnown } from "../src/audit/last_known.ts";
import type { VmId } from "../src/id.ts";
import type { Runtime } from "../src/runtime.ts";

export const NOW = "11111111-2222-3333-4444-555555555555";
export const BEFORE = "99999999-2222-3333-4444-555555555555";
export const OTHER = "88888888-2222-3333-4444-555555555555";
export const CRASH = "/var/rayos/crash";

export const POLICY = "ab".repeat(32);

/** What a start or boot that ran two guests leaves. */
export function known(bootId: string, start: number, phase = "launch"): LastKnown {
  return {
    version: 0,
    boot_id: bootId,
    phase,
    program: { version: "0.0.9", build_id: "old", form: "bundled", runtime: "debian", start },
    kernel: "6.0.1",
    mode: "recovery",
    policy: POLICY,
    guests: [{ vm: "demo" as VmId, state: "running" }, { vm: "other" as VmId, state: "failed" }],
    oom_kills: 3,
  };
}

export function start(
  host: FakeHost,
  { start = 1, mounted = true, before = known(NOW, start - 1) as LastKnown | null } = {},
): Runtime {
  const starts = { start, diedBeforeReady: 0 };
  const runtime = fakeRuntime(host, { bootId: NOW, starts, before });
  if (mounted) runtime.dataDevice = "/dev/vda";
  return runtime;
}

export const reportIn = (host: FakeHost, bootId: string, name = "report.json") =>
  readReport(host.readText(`${CRASH}/${bootId}/${name}`, 1 << 20));
export const said = (host: FakeHost) =>
  host.consoleText.join("").split("\n").flatMap((line) => line.match(/RAYOS_CRASH:.*/)?.[0] ?? []);
