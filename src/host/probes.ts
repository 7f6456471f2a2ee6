/**
 * Tries, one by one, what the program must not be able to do, so that a person sees that its
 * permissions are as narrow as the table says. Each probe is harmless where it is not refused.
 */

import * as fs from "node:fs";

export interface Probe {
  readonly kind: string;
  readonly tried: string;
  readonly refused: boolean;
  /** What happened, in a word. */
  readonly outcome: string;
}

/** Everything outside the table that is tried. */
const PROBES: readonly { kind: string; tried: string; attempt: () => unknown }[] = [
  { kind: "read", tried: "/etc/inittab", attempt: () => Deno.readTextFileSync("/etc/inittab") },
  { kind: "read", tried: "/proc/1/environ", attempt: () => fs.readFileSync("/proc/1/environ") },
  {
    kind: "read",
    tried: "/run/rayos/../../etc/inittab",
    attempt: () => Deno.readTextFileSync("/run/rayos/../../etc/inittab"),
  },
  {
    kind: "write",
    tried: "/etc/rayos/probe",
    attempt: () => Deno.writeTextFileSync("/etc/rayos/probe", ""),
  },
  { kind: "write", tried: "/tmp/probe", attempt: () => fs.writeFileSync("/tmp/probe", "") },
  {
    kind: "run",
    tried: "/bin/busybox",
    attempt: () => new Deno.Command("/bin/busybox", { args: ["true"] }).outputSync(),
  },
  {
    kind: "run",
    tried: "kill(1)",
    attempt: () => Deno.kill(1, "SIGCONT"),
  },
  { kind: "net", tried: "tcp 127.0.0.1:1", attempt: () => Deno.connect({ port: 1 }) },
  {
    kind: "net",
    tried: "listen 127.0.0.1:0",
    attempt: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
  },
  {
    kind: "net",
    tried: "unix:/tmp/probe.sock",
    attempt: () => Deno.connect({ transport: "unix", path: "/tmp/probe.sock" }),
  },
  { kind: "env", tried: "HOME", attempt: () => Deno.env.get("HOME") },
  { kind: "env", tried: "all of it", attempt: () => Deno.env.toObject() },
  { kind: "sys", tried: "hostname", attempt: () => Deno.hostname() },
  { kind: "ffi", tried: "libc.so.6", attempt: () => Deno.dlopen("libc.so.6", {}) },
];

/** Tries each, in order. */
export async function probePermissions(): Promise<Probe[]> {
  const rows: Probe[] = [];
  for (const { kind, tried, attempt } of PROBES) {
    try {
      await attempt();
      rows.push({ kind, tried, refused: false, outcome: "done" });
    } catch (error) {
      // Runtimes before 2.0's NotCapable called it PermissionDenied.
      const refused = error instanceof Deno.errors.NotCapable ||
        (error instanceof Error && /requires? .* access/i.test(error.message));
      rows.push({
        kind,
        tried,
        refused,
        outcome: error instanceof Error ? error.name : String(error),
      });
    }
  }
  return rows;
}
