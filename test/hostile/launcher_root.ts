/**
 * A root of its own that holds busybox and the launchers alone, and some guests' files on RayOS Data, for
 * calling a launcher as a captured program would.
 */

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

const SKELETON = path.resolve(import.meta.dirname ?? ".", "../../initramfs/skeleton");
export const BUSYBOX = "/usr/bin/busybox";
/** Who owns what we make; it needs no permission more. */
function runsAsRoot(): boolean {
  const made = fs.mkdtempSync("/tmp/rayos-who-");
  const { uid } = fs.statSync(made);
  fs.rmdirSync(made);
  return uid === 0;
}
const canRun = runsAsRoot() && fs.existsSync(BUSYBOX);
/** Why these cannot run; the runner counts them as skipped. */
export const ignore = !canRun;

/** The filter's bytes do not matter here: nothing is started. */
const FILTER = "a filter";
export const FILTER_HASH = createHash("sha256").update(FILTER).digest("hex");

export interface Root {
  readonly dir: string;
  readonly data: string;
  run(launcher: string, ...args: string[]): string;
  /** The same on a data root with that room alone, which is gone afterwards; says what files it had at the end. */
  runWithin(mib: number, launcher: string, ...args: string[]): string;
  plan(text: string | Uint8Array): void;
}

export async function withRoot(work: (root: Root) => void | Promise<void>): Promise<void> {
  const dir = fs.mkdtempSync("/tmp/rayos-launchers-");
  const at = (name: string) => path.join(dir, name);
  try {
    for (const one of ["bin", "usr/lib", "proc", "sys/class/block", "dev", "run/rayos"]) {
      fs.mkdirSync(at(one), { recursive: true });
    }
    fs.cpSync(`${SKELETON}/usr/lib/rayos`, at("usr/lib/rayos"), { recursive: true });
    fs.copyFileSync(BUSYBOX, at("bin/busybox"));
    // What util-linux mounts for a guest's sockets does not matter here.
    fs.mkdirSync(at("usr/bin"));
    fs.writeFileSync(at("usr/bin/mount"), "#!/bin/busybox sh\n", { mode: 0o755 });
    for (const one of ["plan", "g", "n", "err", "cg/rayos/guests/00", "cg/rayos/disk"]) {
      fs.mkdirSync(at(`run/rayos/${one}`), { recursive: true });
    }
    fs.writeFileSync(at("run/rayos/cg/rayos/guests/00/cgroup.events"), "populated 0\n");
    fs.writeFileSync(at("run/rayos/cg/rayos/disk/cgroup.events"), "populated 0\n");
    fs.writeFileSync(at("dev/null"), "");
    fs.mkdirSync(at("usr/lib/rayos/seccomp"));
    for (const one of ["qemu", "disk", "swtpm"]) {
      fs.writeFileSync(at(`usr/lib/rayos/seccomp/${one}.bpf`), FILTER);
    }
    const data = at("var/rayos");
    fs.mkdirSync(`${data}/vm/linux/demo/state`, { recursive: true });
    fs.mkdirSync(`${data}/vm/linux/other`, { recursive: true });
    fs.mkdirSync(`${data}/policy`, { recursive: true });
    for (const one of ["demo/rootfs.ext4", "demo/vmlinuz", "demo/state/saved", "other/disk"]) {
      fs.writeFileSync(`${data}/vm/linux/${one}`, one);
    }
    fs.writeFileSync(`${data}/policy/rayos-policy.toml`, "version = 0\n");
    const runAs = (inside: string, launcher: string, args: string[]) => {
      const result = new Deno.Command("unshare", {
        args: ["--mount", "sh", "-c", inside, dir, `/usr/lib/rayos/${launcher}`, ...args],
        clearEnv: true,
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        stdin: "null",
      }).outputSync();
      return new TextDecoder().decode(result.stdout).trim();
    };
    // A launcher reaches its descriptors by /proc; this one is gone with the launcher.
    const proc = 'mount -t proc proc "$0/proc"';
    await work({
      dir,
      data,
      run: (launcher, ...args) => runAs(`${proc} && exec chroot "$0" "$@"`, launcher, args),
      runWithin(mib, launcher, ...args) {
        const small = `mount -t tmpfs -o size=${mib}m small "$0/var/rayos"`;
        const inside = `rm -rf "$0/all"; cp -a "$0/var/rayos" "$0/all" && ${small} && ` +
          `cp -a "$0/all/." "$0/var/rayos" && ${proc} && { chroot "$0" "$@"; ` +
          'cd "$0/var/rayos" && find vm -type f; }';
        return runAs(inside, launcher, args);
      },
      plan(text) {
        fs.writeFileSync(at("run/rayos/plan/00"), text, { mode: 0o600 });
      },
    });
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}
