/** The runtime of a release image on a fake host, as far as a test of one part needs it. */

import type { LastKnown } from "../src/audit/last_known.ts";
import { LogSinks } from "../src/audit/sinks.ts";
import type { Starts } from "../src/boot/session.ts";
import { Runtime } from "../src/runtime.ts";
import type { FakeHost } from "./fake_host.ts";

export interface FakeBoot {
  readonly bootId?: string;
  readonly starts?: Starts;
  /** What the start before this one left of itself. */
  readonly before?: LastKnown | null;
}

/** Nothing of it has begun yet. */
export function fakeRuntime(host: FakeHost, boot: FakeBoot = {}): Runtime {
  const { bootId = "boot", starts = { start: 1, diedBeforeReady: 0 }, before } = boot;
  const image = {
    version: "0.1.0",
    buildId: "b",
    profile: "release",
    form: "compiled",
    runtime: "official",
    built: new Date("2026-11-01T00:00:00Z"),
  } as const;
  return new Runtime(host, new LogSinks(host), image, bootId, starts, before);
}
