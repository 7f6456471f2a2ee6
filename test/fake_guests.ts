/**
 * Guests on the fake host: the kernel's side of a launch, from the plan file as the real launcher has it, and
 * QEMU's side of the sockets. Each does what a healthy one does, where a test wants nothing else.
 */

import { FakeConnection } from "../src/guest/fake_connection.ts";
import { type Slot, slotName } from "../src/id.ts";
import { jailSpec } from "../src/jail/spec.ts";
import { PATHS } from "../src/permissions.ts";
import { samplePlan } from "../src/plan/sample_plan.ts";
import type { FakeHost } from "./fake_host.ts";
import { jailAsPlanned, putJail } from "./fake_jail.ts";

const PLAN_LIMIT = 65536;

/** What QEMU answers to a command; undefined: as a healthy one. */
export type Answers = (command: string) => unknown;

/** A guest's process as its plan file wants it. @param weaken text to replace in a task's status */
export function startJail(
  host: FakeHost,
  slot: Slot,
  [from, to]: readonly [from: string, to: string] = ["", ""],
): void {
  const text = host.readText(`${PATHS.plans}/${slotName(slot)}`, PLAN_LIMIT) ?? "";
  const value = (key: string) => text.match(new RegExp(`^${key} (.*)$`, "m"))?.[1] ?? "";
  const files = [...text.matchAll(/^(ro|rw) (\S+) (\S+)$/gm)].map(([, access, file, name]) => ({
    access: access as "ro" | "rw",
    path: file as never,
    name: name ?? "",
  }));
  const plan = samplePlan({ slot, uid: 61000 + slot, files, emulated: value("kvm") === "0" });
  const facts = jailAsPlanned(jailSpec(plan), (file) => {
    const { device = 0, inode = 0 } = host.lstat(`${PATHS.dataRoot}/${file}`) ?? {};
    return { device, inode };
  });
  const tasks = facts.tasks.map((task) => ({ ...task, status: task.status.replace(from, to) }));
  putJail(host, plan, { ...facts, tasks }, {
    cpu_max: value("cpu_max"),
    memory_max: value("memory_max"),
    pids_max: value("pids_max"),
  });
}

/** QEMU's end of a guest's socket. */
export function guestSocket(
  host: FakeHost,
  file: string,
  answers: Answers = () => undefined,
): FakeConnection {
  const [, slot = "", kind = ""] = file.match(/\/g\/(\d\d)\/(\w+)\.sock$/) ?? [];
  const connection = new FakeConnection();
  if (kind === "agent") {
    connection.onWrite = (text) => {
      const { arguments: { id } } = JSON.parse(text.slice(1));
      // A guest takes its time, however fast it is.
      setTimeout(() => connection.feed(`{"return":${id}}\n`), 0);
    };
  } else if (kind === "qmp") {
    connection.feed('{"QMP":{"version":{},"capabilities":[]}}\n');
    const plan = host.readText(`${PATHS.plans}/${slot}`, PLAN_LIMIT) ?? "";
    const uuid = plan.match(/^arg -uuid\narg (.*)$/m)?.[1] ?? "";
    const name = plan.match(/^vm (.*)$/m)?.[1] ?? "";
    connection.onWrite = (text) => {
      const { execute, id } = JSON.parse(text);
      const healthy = execute === "query-uuid"
        ? { UUID: uuid }
        : execute === "query-name"
        ? { name }
        : { running: true, status: "running" };
      const result = answers(execute) ?? healthy;
      connection.feed(`${JSON.stringify({ id, return: result })}\n`);
      if (execute === "system_powerdown") host.processes.delete(Number(slot) as Slot);
    };
  }
  return connection;
}
