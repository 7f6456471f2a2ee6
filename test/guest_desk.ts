/** One guest on the fake host, with everything around it, for tests of its life. */

import type { HostEvent } from "../src/event.ts";
import type { FakeConnection } from "../src/guest/fake_connection.ts";
import type { ProcessFacts } from "../src/host/port.ts";
import { samplePlan } from "../src/plan/sample_plan.ts";
import { Guest } from "../src/supervisor/guest.ts";
import type { GuestSurroundings } from "../src/supervisor/surroundings.ts";
import { type Answers, guestSocket, startJail } from "./fake_guests.ts";
import { FakeHost } from "./fake_host.ts";
import { DATA_DEVICE } from "./fake_jail.ts";
import { QUIET } from "./quiet_surroundings.ts";

/** A guest on the fake host, with all that is said of it. */
export function guestDesk(around: Partial<GuestSurroundings> = {}, plan = samplePlan()) {
  const { slot } = plan;
  const host = new FakeHost();
  host.seed("/run/rayos/proc/1/mountinfo", `1 0 ${DATA_DEVICE} / /var/rayos rw - ext4 x rw\n`);
  for (const { path } of plan.files) host.seed(`/var/rayos/${path}`, path);
  const answers: { of: Answers } = { of: () => undefined };
  const sockets: Record<string, FakeConnection> = {};
  host.socket = (file) => {
    const kind = file.match(/(\w+)\.sock$/)?.[1] ?? "";
    return sockets[kind] = guestSocket(host, file, (command) => answers.of(command));
  };
  host.launcher = () => {
    startJail(host, slot);
    return { code: 0, words: ["ok"] };
  };
  const events: HostEvent[] = [];
  const crashed: string[] = [];
  const guest = new Guest(plan, {
    ...QUIET,
    host,
    emit: (event) => void events.push(event),
    onCrash: (vm) => void crashed.push(vm),
    ...around,
  });
  const states = () =>
    events.flatMap((one) => one.type === "vm_state" ? [`${one.to} ${one.reason}`] : []);
  const faults = () => events.flatMap((one) => one.type === "fault" ? [one.code] : []);
  const asked = (command: string) =>
    sockets.qmp?.written.filter((text) => JSON.parse(text).execute === command).length;
  /** From now on the kernel takes its time with killed processes, until it is told. */
  const slowKernel = () => {
    let there: ProcessFacts[] | undefined;
    const put = host.put.bind(host);
    host.put = (path, text) => {
      if (path.endsWith("cgroup.kill")) there = host.processes.get(slot);
      put(path, text);
      if (there !== undefined) host.processes.set(slot, there);
    };
    return () => {
      host.put = put;
      host.processes.delete(slot);
    };
  };
  return { host, guest, answers, sockets, events, states, faults, asked, crashed, slowKernel };
}
