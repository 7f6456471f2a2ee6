/**
 * The one table of what the program may read, write, run, connect to and look up in its environment.
 * The flags of both forms, the tests' flags and the documentation are rendered from it; nothing else
 * states a permission. It never grants "all" of anything.
 */

import { allSlots, type Slot, slotName, socketPath, SOCKETS } from "./id.ts";

/** Where the program's own things lie. */
export const PATHS = {
  dataRoot: "/var/rayos",
  run: "/run/rayos",
  proc: "/run/rayos/proc",
  cgroup: "/run/rayos/cg",
  sysfs: "/run/rayos/sys",
  plans: "/run/rayos/plan",
  controlSocket: "/run/rayos/control.sock",
  imageFacts: "/etc/rayos",
  launchers: "/usr/lib/rayos",
} as const;

/** The cgroup above all guests, as the program's own mount shows it. */
export const GUESTS_CGROUP = `${PATHS.cgroup}/rayos/guests`;

/** The cgroup of what works on disks, one at a time. */
export const DISK_CGROUP = `${PATHS.cgroup}/rayos/disk`;

/** The directory of a slot's cgroup. */
export function guestCgroup(slot: Slot): string {
  return `${GUESTS_CGROUP}/${slotName(slot)}`;
}

/** The directory of the cgroup of a slot's passt. */
export function networkCgroup(slot: Slot): string {
  return `${PATHS.cgroup}/rayos/net/${slotName(slot)}`;
}

/** The directory of the cgroup of what serves one of a slot's shares, within the guest's own. */
export function shareCgroup(slot: Slot, share: number): string {
  return `${guestCgroup(slot)}/share${share}`;
}

/** The launchers: the only programs that the program may start. */
export const LAUNCHERS = [
  "jail",
  "uplink",
  "net",
  "share",
  "mount",
  "fsck",
  "power",
  "disk",
  "keyboard",
  "shell",
] as const;
export type Launcher = typeof LAUNCHERS[number];

export function launcherPath(name: Launcher): string {
  return `${PATHS.launchers}/${name}`;
}

export type PermissionKind = "read" | "write" | "net" | "run" | "env" | "sys";

/** One row: what is granted, and the reason, which the documentation shows. */
export interface Grant {
  readonly kind: PermissionKind;
  readonly what: readonly string[];
  readonly why: string;
}

/** Every unix socket that the program ever listens on or connects to: slots make them known beforehand. */
export function declaredSockets(): string[] {
  return [
    PATHS.controlSocket,
    ...allSlots().flatMap((slot) => SOCKETS.map((name) => socketPath(slot, name))),
  ];
}

/** The table. */
export const GRANTS: readonly Grant[] = [
  {
    kind: "read",
    what: [PATHS.imageFacts],
    why: "facts of the image: keys, profile, host name, build",
  },
  { kind: "read", what: [PATHS.dataRoot], why: "policy, registry, disks' facts, logs" },
  {
    kind: "read",
    what: [PATHS.run],
    why:
      "proc and cgroup mounts and a few folders of sysfs made for the program by stage 0, its own state, sockets",
  },
  { kind: "write", what: [PATHS.dataRoot], why: "logs, boot history, registry, policy state" },
  {
    kind: "write",
    what: [PATHS.run],
    why: "plans, sockets, guests' cgroups, harness port, framebuffer",
  },
  {
    kind: "net",
    what: declaredSockets().map((path) => `unix:${path}`),
    why: "the control socket, and each slot's QMP, agent, console, saved state and VNC sockets",
  },
  {
    kind: "run",
    what: LAUNCHERS.map(launcherPath),
    why: "the launchers, which check what they are asked",
  },
  { kind: "env", what: ["NO_COLOR", "TERM"], why: "how the command line draws" },
  { kind: "sys", what: ["statfs"], why: "how much room RayOS Data has (statfs(2))" },
];

/** The two forms of the program. `compiled` may run on a runtime that knows no `unix:` entries. */
export type Form = "compiled" | "bundled";

/**
 * The `deno` flags of a form. Runtimes before 2.6 know no `unix:` entry of --allow-net and ask only
 * read and write for a unix socket, so the entry is left out there.
 *
 * @param unixNet whether the form's runtime knows `--allow-net=unix:…`
 */
export function permissionFlags(unixNet: boolean): string[] {
  const flags = ["--no-prompt"];
  for (const kind of ["read", "write", "net", "run", "env", "sys"] as const) {
    if (kind === "net" && !unixNet) continue;
    const what = GRANTS.filter((grant) => grant.kind === kind).flatMap((grant) => grant.what);
    flags.push(`--allow-${kind}=${what.join(",")}`);
  }
  return flags;
}

/** The table as Markdown, for the documentation. */
export function renderGrants(): string {
  const rows = GRANTS.map((grant) => {
    const what = grant.what.length > 6
      ? `${grant.what.length} ${grant.kind === "run" ? "programs" : "sockets"}, \`${
        grant.what[0]
      }\` to \`${grant.what.at(-1)}\``
      : grant.what.map((one) => `\`${one}\``).join(", ");
    return `| ${grant.kind} | ${what} | ${grant.why} |`;
  });
  return ["| kind | what | why |", "| --- | --- | --- |", ...rows].join("\n");
}
