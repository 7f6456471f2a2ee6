/**
 * What a kernel would say of a jail that is exactly as its spec: for scenarios in which the jail is not
 * the matter. Real jails are read back in real boots.
 */

import { cgroupFile, type FakeHost } from "./fake_host.ts";
import type { ProcessFacts } from "../src/host/port.ts";
import type { JailSpec } from "../src/jail/spec.ts";
import { NAMESPACES } from "../src/jail/spec.ts";
import type { LaunchPlan } from "../src/plan/launch_plan.ts";

/** Device of the fake data root, as mountinfo writes it. */
export const DATA_DEVICE = "254:0";

/** Device and inode of a file on the fake data root. */
export type Identify = (path: string) => { device: number; inode: number };

export function jailAsPlanned(spec: JailSpec, identify: Identify): ProcessFacts {
  const four = `${spec.uid}\t${spec.uid}\t${spec.uid}\t${spec.uid}`;
  const status = [
    `Uid:\t${four}`,
    `Gid:\t${four}`,
    `Groups:\t${spec.groups.join(" ")} `,
    ...["Inh", "Prm", "Eff", "Bnd", "Amb"].map((set) => `Cap${set}:\t0000000000000000`),
    "NoNewPrivs:\t1",
    "Seccomp:\t2",
    `Seccomp_filters:\t${spec.seccompFilters}`,
  ].join("\n");
  const mountinfo = spec.mounts.map((mount, index) => {
    const device = mount.of === "data" ? DATA_DEVICE : "0:9";
    const type = mount.of === "devtmpfs" || mount.of === "tmpfs" ? mount.of : "any";
    const nodev = mount.of === "devtmpfs" ? "" : ",nodev";
    return `${index} 0 ${device} ${
      mount.root ?? "/"
    } ${mount.place} ${mount.access},nosuid${nodev}` +
      ` - ${type} x rw`;
  }).join("\n");
  return {
    pid: 100 + spec.uid,
    startTicks: 1000 + spec.uid,
    tasks: [{ tid: 1, status }],
    mountinfo,
    limits: "Max core file size        0                    0                    bytes\n" +
      "Max file size             1048576              1048576              bytes\n",
    namespaces: Object.fromEntries(NAMESPACES.map((name) => [name, `${name}:[${spec.uid}]`])),
    files: spec.files.filter((file) => file.heldOpen).map((file, fd) => ({
      fd,
      target: `/g/${file.name}`,
      ...identify(file.path),
    })),
  };
}

/** Puts QEMU's jail on a host, with what the kernel says of its files and limits. */
export function putJail(
  host: FakeHost,
  { slot, files }: Pick<LaunchPlan, "slot" | "files">,
  facts: ProcessFacts,
  limits: Readonly<Record<"cpu_max" | "memory_max" | "pids_max", string | number>>,
): void {
  for (const { name, path } of files) {
    const given = `/run/rayos/proc/${facts.pid}/root/g/${name}`;
    host.seed(given, "");
    host.facts.set(given, host.lstat(`/var/rayos/${path}`) ?? {});
  }
  host.processes.set(slot, [facts]);
  host.seed(cgroupFile(slot, "cpu.max"), `${limits.cpu_max} 100000\n`);
  host.seed(cgroupFile(slot, "memory.max"), `${limits.memory_max}\n`);
  host.seed(cgroupFile(slot, "memory.oom.group"), "1\n");
  host.seed(cgroupFile(slot, "pids.max"), `${limits.pids_max}\n`);
  host.seed(cgroupFile(slot, "io.max"), "");
}
