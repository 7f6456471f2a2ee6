/**
 * Keeps a guest's files from changing while they are copied, and lets the guest go on afterwards. One that
 * can be suspended is; one that cannot (it has a TPM, or a network or shares that a save would take away)
 * has its vCPUs held, after its agent was asked to hold its file systems. It is the host that holds it: what
 * the guest says never decides whether it is copied, only what the backup says of itself.
 */

import type { Consistent } from "../disk/backup.ts";
import { AgentClient } from "../guest/agent.ts";
import type { Host } from "../host/port.ts";
import { socketPath } from "../id.ts";
import { issue } from "../issue.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import type { Decision, Denied } from "../policy/authorize.ts";
import type { Runtime } from "../runtime.ts";
import type { Guest } from "../supervisor/guest.ts";
import { checkUnused, type GuestWork, Refused } from "./guest_work.ts";

/** How long a guest's agent is waited for, in milliseconds. */
export const AGENT_LIMITS = {
  connectMs: 2_000,
  answerMs: 2_000,
  /** A guest has much to write down, on a disk that others use too. */
  freezeMs: 15_000,
  /** One that was held for long has much to do first. */
  thawMs: 5_000,
} as const;
type Limits = { readonly [Name in keyof typeof AGENT_LIMITS]: number };
const THAW_TRIES = 3;

/** A guest that does not write its disks. */
export interface Held {
  readonly consistent: Consistent;
  /** Looked at before the copies count. @throws Refused where it went on meanwhile */
  readonly check: () => void;
  /** Lets it go on, where it was this that held it. What stands in the way is in its state. */
  readonly letGo: () => Promise<void>;
}

const nothing = () => {};

/** @throws Refused where it is not held then; a guest that ran runs on */
export async function holdGuest(work: GuestWork, limits: Limits = AGENT_LIMITS): Promise<Held> {
  const { runtime, owner } = work;
  const guest = runtime.guests.get(owner.vm);
  if (guest?.state !== "running") {
    const suspended = guest?.state === "suspended";
    if (!suspended) checkUnused(work);
    const consistent = suspended ? "suspended" : "stopped";
    return { consistent, check: nothing, letGo: () => Promise.resolve() };
  }
  // While it still takes what it is told: that every key is up again.
  await runtime.presenter.ask({ type: "hide", vm: owner.vm });
  const { plan, given } = guest;
  const saves = plan.tpm === null && plan.shares.length === 0 && given.network.state === "off";
  return saves ? await suspended(work, guest) : await paused(work, guest, limits);
}

async function suspended(work: GuestWork, guest: Guest): Promise<Held> {
  const decision = decide(work, "vm.suspend");
  if (!decision.allow) notHeld(guest, "not allowed");
  await guest.suspend(decision.permit, "backup");
  if (guest.state !== "suspended") notHeld(guest, guest.refusal?.detail ?? guest.state);
  return {
    consistent: "suspended",
    check: nothing,
    letGo: () => goOn(work, guest, "vm.start"),
  };
}

async function paused(work: GuestWork, guest: Guest, limits: Limits): Promise<Held> {
  const { host } = work.runtime;
  let asked = false;
  const frozen = guest.agentReady && await withAgent(host, guest.plan, limits, (agent) => {
    asked = true;
    return agent.freeze(limits.freezeMs);
  });
  const letGo = async () => {
    await goOn(work, guest, "vm.resume");
    // Whatever it answered: it may hold them all the same.
    if (asked) await thawGuest(host, guest.plan, limits);
  };
  try {
    const decision = decide(work, "vm.pause");
    if (!decision.allow) notHeld(guest, "not allowed");
    await guest.pause(decision.permit);
    if (guest.state !== "paused") notHeld(guest, guest.refusal?.detail ?? guest.state);
  } catch (error) {
    await letGo();
    throw error;
  }
  const { resumes } = guest;
  return {
    consistent: frozen ? "frozen+paused" : "paused",
    check() {
      if (guest.state !== "paused" || guest.resumes !== resumes) {
        notHeld(guest, "it went on while it was copied");
      }
    },
    letGo,
  };
}

function notHeld({ plan }: Guest, found: string): never {
  throw new Refused(issue("backup.not_held", {
    expected: `${plan.vm} held while it is copied`,
    found,
    hint: "stop it first, then back it up",
  }));
}

function decide<O extends "vm.suspend" | "vm.pause" | "vm.start" | "vm.resume">(
  { runtime, permit, owner }: GuestWork,
  op: O,
): Decision<O> {
  return runtime.decide(permit.caller, { op, vm: owner.vm }) as Decision<O>;
}

/** Has one that this held go on. */
async function goOn(
  work: GuestWork,
  guest: Guest,
  op: "vm.start" | "vm.resume",
): Promise<void> {
  const { runtime, owner: { vm } } = work;
  const from = op === "vm.start" ? "suspended" : "paused";
  // The next start of the host, or a person, lets it go on.
  if (runtime.ending || guest.state !== from) return;
  runtime.busy.delete(vm);
  if (op === "vm.start") {
    const decision = decide(work, op);
    if (decision.allow) return await guest.start(decision.permit);
    return stays(runtime, `${vm}: it stays suspended after its backup`, decision);
  }
  const decision = decide(work, op);
  if (decision.allow) return await guest.resume(decision.permit);
  return stays(runtime, `${vm}: its vCPUs stay held after its backup`, decision);
}

function stays(runtime: Runtime, what: string, { rule, detail }: Denied): void {
  const message = `${what}: ${detail}; let it go on by hand`;
  runtime.emit({ type: "fault", stage: "guest", code: rule, message });
}

/**
 * Lets a guest's file systems go on. One that does not answer is asked again, and then left as it is: it
 * holds nobody but itself.
 */
export async function thawGuest(
  host: Host,
  plan: LaunchPlan,
  limits: Limits = AGENT_LIMITS,
): Promise<void> {
  for (let tries = 0; tries < THAW_TRIES; tries++) {
    if (await withAgent(host, plan, limits, (agent) => agent.thaw(limits.thawMs))) return;
  }
}

/**
 * Guests that were taken up after the program died: a backup that it was about may have left their file
 * systems held. It holds nobody up, and one that is held itself is told when it goes on.
 */
export function thawTakenUp({ host, guests }: Pick<Runtime, "host" | "guests">): void {
  for (const guest of guests.values()) if (guest.agentReady) void thawGuest(host, guest.plan);
}

/** A connection of its own each time: one that a flood has ended is not waited for. */
async function withAgent(
  host: Host,
  plan: LaunchPlan,
  { connectMs, answerMs }: Limits,
  ask: (agent: AgentClient) => Promise<boolean>,
): Promise<boolean> {
  if (!plan.devices.some(({ device }) => device === "agent")) return false;
  let agent: AgentClient;
  try {
    agent = new AgentClient(await host.connect(socketPath(plan.slot, "agent"), connectMs));
  } catch {
    return false;
  }
  try {
    return await agent.answers(answerMs) && await ask(agent);
  } finally {
    agent.close();
  }
}
