/**
 * `metrics`: what the host knows of itself as numbers. Guests' memory and time are the kernel's own count of
 * their cgroups; nothing a guest says is in it.
 */

import { type Family, renderOpenMetrics, type Sample } from "../control/openmetrics.ts";
import type { Tally } from "../control/counters.ts";
import type { LiveOp } from "../policy/ops.ts";
import { MACHINE_STATES } from "../machine_state.ts";
import { guestCgroup, GUESTS_CGROUP, PATHS } from "../permissions.ts";
import type { Operation, Runtime } from "../runtime.ts";
import type { Guest } from "../supervisor/guest.ts";

const FILE_LIMIT = 64 * 1024;

export function metricsOperations(runtime: Runtime): [LiveOp, Operation][] {
  return [[
    "metrics",
    () => ({ ok: true, result: { text: renderOpenMetrics(familiesOf(runtime)) } }),
  ]];
}

function familiesOf(runtime: Runtime): Family[] {
  return [
    ...hostFamilies(runtime),
    ...bootFamilies(runtime),
    ...guestFamilies(runtime),
    ...countedFamilies(runtime),
  ];
}

const gauge = (
  name: string,
  help: string,
  samples: readonly Sample[],
  unit?: "seconds" | "bytes",
): Family => ({
  name: `rayos_${name}`,
  type: "gauge",
  help,
  samples,
  ...unit === undefined ? {} : { unit },
});
const one = (value: number): Sample[] => [{ value }];

function hostFamilies(runtime: Runtime): Family[] {
  const { host, image, mode, facts } = runtime;
  const { version, buildId, profile, form } = image;
  const onDisk = runtime.dataDevice !== null;
  return [
    {
      name: "rayos_build",
      type: "info",
      help: "The image that runs.",
      samples: [{ labels: { version, build: buildId, profile, form }, value: 1 }],
    },
    {
      name: "rayos_mode",
      type: "stateset",
      help: "Whether guests may start.",
      samples: ["normal", "safe", "recovery"].map((name) => ({
        labels: { rayos_mode: name },
        value: Number(name === mode),
      })),
    },
    gauge("ready", "Whether every request is taken.", one(Number(runtime.ready))),
    gauge("troubles", "What is wrong with the host now.", one(runtime.troubles.length)),
    gauge(
      "uptime_seconds",
      "Since the kernel started.",
      one(host.clock.monoMs() / 1000),
      "seconds",
    ),
    gauge("program_starts", "Starts of the program in this boot.", one(runtime.starts.start)),
    gauge("kvm", "Whether /dev/kvm can be used.", one(Number(facts.kvm))),
    gauge("memory_bytes", "Of the machine.", one(facts.memoryMiB * 1024 * 1024), "bytes"),
    gauge(
      "data_free_bytes",
      "Free on RayOS Data, root's reserve left out.",
      onDisk ? one(host.freeBytes(PATHS.dataRoot)) : [],
      "bytes",
    ),
    gauge(
      "data_size_bytes",
      "Of RayOS Data.",
      onDisk ? one(host.wholeBytes(PATHS.dataRoot)) : [],
      "bytes",
    ),
  ];
}

function bootFamilies({ counters }: Runtime): Family[] {
  const { before, phases, readyMs } = counters;
  const parts = before === null ? [] : Object.entries(before);
  return [
    gauge(
      "boot_before_program_seconds",
      "Of this boot before the program's first line.",
      parts.map(([part, ms]) => ({ labels: { part }, value: ms / 1000 })),
      "seconds",
    ),
    gauge(
      "boot_phase_seconds",
      "Of each phase of the last start of the program.",
      [...phases].map(([phase, ms]) => ({ labels: { phase }, value: ms / 1000 })),
      "seconds",
    ),
    gauge(
      "boot_ready_seconds",
      "From the kernel's start to RAYOS_READY.",
      readyMs === null ? [] : one(readyMs / 1000),
      "seconds",
    ),
  ];
}

function guestFamilies(runtime: Runtime): Family[] {
  const { host, presenter } = runtime;
  const guests = [...runtime.guests.values()];
  const each = (value: (guest: Guest) => number) =>
    guests.map((guest) => ({ labels: { vm: guest.plan.vm }, value: value(guest) }));
  const read = (folder: string, file: string) => host.readText(`${folder}/${file}`, FILE_LIMIT);
  const number = (guest: Guest, file: string) => numberIn(read(guestCgroup(guest.plan.slot), file));
  const cpu = (folder: string) => cpuSeconds(read(folder, "cpu.stat"));
  const broken = runtime.broken.map((found) => ({
    labels: { vm: found.vm, rayos_guest_state: "failed" },
    value: 1,
  }));
  return [
    {
      name: "rayos_guest_state",
      type: "stateset",
      help: "Each guest's state.",
      samples: [
        ...guests.flatMap((guest) =>
          MACHINE_STATES.map((state) => ({
            labels: { vm: guest.plan.vm, rayos_guest_state: state },
            value: Number(guest.state === state),
          }))
        ),
        ...broken,
      ],
    },
    gauge("guest_agent", "Whether its agent answered.", each((guest) => Number(guest.agentReady))),
    gauge(
      "guest_presented",
      "Whether the user sees it.",
      each((guest) => Number(presenter.shown === guest.plan.vm)),
    ),
    gauge(
      "guest_memory_bytes",
      "What its processes use (memory.current).",
      each((guest) => number(guest, "memory.current")),
      "bytes",
    ),
    gauge(
      "guest_memory_limit_bytes",
      "What they may use (memory.max).",
      each((guest) => number(guest, "memory.max")),
      "bytes",
    ),
    gauge("guest_processes", "pids.current.", each((guest) => number(guest, "pids.current"))),
    {
      name: "rayos_guest_cpu_seconds",
      type: "counter",
      help: "CPU time of its processes since its launch (cpu.stat).",
      unit: "seconds",
      samples: each((guest) => cpu(guestCgroup(guest.plan.slot))),
    },
    gauge(
      "guests_memory_bytes",
      "All guests.",
      one(numberIn(read(GUESTS_CGROUP, "memory.current"))),
      "bytes",
    ),
    {
      name: "rayos_guests_cpu_seconds",
      type: "counter",
      help: "All guests since the boot.",
      unit: "seconds",
      samples: one(cpu(GUESTS_CGROUP)),
    },
  ];
}

function countedFamilies({ counters }: Runtime): Family[] {
  const counter = (name: string, help: string, label: string, tally: Tally): Family => ({
    name: `rayos_${name}`,
    type: "counter",
    help,
    samples: tally.entries.map(([key, value]) => ({ labels: { [label]: key }, value })),
  });
  const requests = (result: string, tally: Tally) =>
    tally.entries.map(([op, value]) => ({ labels: { op, result }, value }));
  return [
    counter("denials", "Denied requests and refused documents.", "rule", counters.denials),
    {
      name: "rayos_requests",
      type: "counter",
      help: "Requests, by what came of them.",
      samples: [...requests("ok", counters.done), ...requests("err", counters.refused)],
    },
    counter("faults", "Faults.", "code", counters.faults),
    counter("log_dropped_lines", "Log lines that were dropped.", "sink", counters.dropped),
    counter("guest_restarts", "Guests begun again after they ended.", "vm", counters.restarts),
  ];
}

/** A file of the kernel's with one number; `max` is no bound. */
function numberIn(text: string | null): number {
  const word = text?.trim() ?? "";
  if (word === "max") return Infinity;
  return /^\d+$/.test(word) ? Number(word) : NaN;
}

function cpuSeconds(text: string | null): number {
  const used = /^usage_usec (\d+)$/m.exec(text ?? "")?.[1];
  return used === undefined ? NaN : Number(used) / 1e6;
}
