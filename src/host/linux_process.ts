/**
 * What procfs and cgroupfs say of the processes of a guest. It reads the mounts that stage 0 made for
 * the program and interprets nothing.
 */

import * as fs from "node:fs";
import type { Slot } from "../id.ts";
import { guestCgroup, PATHS } from "../permissions.ts";
import { isGone, list, readText } from "./linux_files.ts";
import type { ProcessFacts, TaskFacts } from "./port.ts";

const TEXT_LIMIT = 256 * 1024;

export function processesOf(slot: Slot): number[] {
  const text = readText(`${guestCgroup(slot)}/cgroup.procs`, TEXT_LIMIT) ?? "";
  return text.split("\n").filter((line) => line !== "").map(Number).filter((pid) =>
    !isKernelThread(pid)
  );
}

/** PF_KTHREAD of include/linux/sched.h; a process cannot give itself this flag. */
const KERNEL_THREAD = 0x00200000;

/**
 * Whether it is a thread of the kernel's own: KVM puts the workers of a VM (kvm-nx-lpage-recovery,
 * kvm-pit) into the cgroup of the process that made it. Such a thread runs no user code.
 */
function isKernelThread(pid: number): boolean {
  return (Number(statFields(pid)[FLAGS_FIELD] ?? 0) & KERNEL_THREAD) !== 0;
}

/** Of proc(5)'s fields 9 and 22; the first two are cut off. */
const FLAGS_FIELD = 9 - 3;
const START_FIELD = 22 - 3;

/** The fields of a process's stat from the third on; none where it is gone. */
function statFields(pid: number): string[] {
  // It may have gone between the list and the look; the next list lacks it.
  const stat = readText(`${PATHS.proc}/${pid}/stat`, TEXT_LIMIT) ?? "";
  // The name stands in parentheses and may hold any character.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

export function processFacts(pid: number): ProcessFacts | null {
  const root = `${PATHS.proc}/${pid}`;
  try {
    const tasks: TaskFacts[] = [];
    for (const tid of list(`${root}/task`)) {
      const status = readText(`${root}/task/${tid}/status`, TEXT_LIMIT);
      if (status !== null) tasks.push({ tid: Number(tid), status });
    }
    const mountinfo = readText(`${root}/mountinfo`, TEXT_LIMIT);
    const limits = readText(`${root}/limits`, TEXT_LIMIT);
    if (mountinfo === null || limits === null) return null;
    const startTicks = Number(statFields(pid)[START_FIELD]);
    return {
      pid,
      startTicks,
      tasks,
      mountinfo,
      limits,
      namespaces: namespaces(root),
      files: openFiles(root),
    };
  } catch (error) {
    // The process may end while it is looked at; then nothing of it can be believed.
    if (isGone(error)) return null;
    throw error;
  }
}

function namespaces(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of list(`${root}/ns`)) found[name] = fs.readlinkSync(`${root}/ns/${name}`);
  return found;
}

function openFiles(root: string): { fd: number; target: string; device: number; inode: number }[] {
  const found = [];
  for (const fd of list(`${root}/fd`)) {
    const path = `${root}/fd/${fd}`;
    try {
      // stat(2) of the magic link gives what is really open, whatever the path says (proc(5)).
      const facts = fs.statSync(path);
      found.push({
        fd: Number(fd),
        target: fs.readlinkSync(path),
        device: facts.dev,
        inode: facts.ino,
      });
    } catch (error) {
      // Closed between the listing and the look.
      if ((error as { code?: string }).code !== "ENOENT") throw error;
    }
  }
  return found;
}
