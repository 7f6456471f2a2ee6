/**
 * What a person or a program may have done to one guest: each operation is one call of the guest's,
 * with the permit that `authorize` made for it. A command that does not come to its end is answered
 * with the rule or the fault that stood against it.
 */

import type { Outcome } from "../control/protocol.ts";
import { escapeUnsafe } from "../escape.ts";
import type { Host } from "../host/port.ts";
import { guestFolder } from "../id.ts";
import { renderPlan } from "../jail/render.ts";
import { jailSpec, tpmSpec } from "../jail/spec.ts";
import { PATHS } from "../permissions.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { MachineState } from "../machine_state.ts";
import { AT_REST, type LiveOp } from "../policy/ops.ts";
import type { Operation, Runtime } from "../runtime.ts";
import type { Guest } from "../supervisor/guest.ts";
import { thawGuest } from "./backup_hold.ts";
import { noPlan } from "./guest_work.ts";
import { commandStranger } from "./strangers.ts";

/** Bytes of a guest's console log that are looked at, and the lines of it that are given. */
const LOG_TAIL_BYTES = 64 * 1024;
const LOG_LINES = 40;
const MOST_LOG_LINES = 500;

interface Command {
  readonly run: (guest: Guest, permit: Allowed, host: Host) => Promise<unknown>;
  /** Where it leads; anything else means that something came between. */
  readonly to: readonly MachineState[];
}

const COMMANDS: Partial<Record<LiveOp, Command>> = {
  "vm.start": {
    run: (guest, permit) => guest.start(permit as Allowed<"vm.start">),
    to: ["running"],
  },
  "vm.stop": {
    run: (guest, permit) => guest.stop(permit as Allowed<"vm.stop">, "asked"),
    to: ["stopped"],
  },
  "vm.kill": {
    run: (guest, permit) => guest.kill(permit as Allowed<"vm.kill">),
    to: ["stopped"],
  },
  "vm.pause": {
    run: (guest, permit) => guest.pause(permit as Allowed<"vm.pause">),
    to: ["paused"],
  },
  "vm.suspend": {
    run: (guest, permit) => guest.suspend(permit as Allowed<"vm.suspend">),
    to: ["suspended"],
  },
  "vm.reset_state": {
    run: (guest, permit) => guest.resetState(permit as Allowed<"vm.reset_state">),
    to: AT_REST,
  },
  "vm.resume": {
    async run(guest, permit, host) {
      await guest.resume(permit as Allowed<"vm.resume">);
      // A program that died in the middle of its backup has left it so.
      if (guest.agentReady) void thawGuest(host, guest.plan);
    },
    to: ["running"],
  },
};

/** These give a start up that has begun no machine yet, and leave the guest where it was. */
const GIVE_UP: readonly LiveOp[] = ["vm.stop", "vm.kill"];
/** After these a guest runs no more, and each of them leaves it the time to be told. */
const LEAVES: readonly LiveOp[] = ["vm.stop", "vm.pause", "vm.suspend"];

/** The operations about one guest, by their names. */
export function guestOperations(runtime: Runtime): [LiveOp, Operation][] {
  const commands = Object.entries(COMMANDS).map(([op, command]): [LiveOp, Operation] => [
    op as LiveOp,
    (permit) => carryOut(runtime, permit, command),
  ]);
  return [
    ...commands,
    ["vm.plan", (permit) => showPlan(runtime, permit)],
    ["vm.log", (permit, args) => showLog(runtime, permit, args.lines)],
    [
      "vm.console",
      (permit, args) => attachConsole(runtime, permit as Allowed<"vm.console">, args.read_only),
    ],
  ];
}

async function carryOut(runtime: Runtime, permit: Allowed, command: Command): Promise<Outcome> {
  const guest = permit.vm === null ? undefined : runtime.guests.get(permit.vm);
  if (guest === undefined) {
    const stranger = runtime.strangers().find((one) => one.name === permit.vm);
    return stranger === undefined ? noPlan(permit) : commandStranger(runtime, permit, stranger);
  }
  // While it still takes what it is told: that every key is up again.
  if (LEAVES.includes(permit.op)) {
    await runtime.presenter.ask({ type: "hide", vm: guest.plan.vm });
  }
  const gaveUp = GIVE_UP.includes(permit.op) && guest.beginning && AT_REST.includes(guest.state);
  await command.run(guest, permit, runtime.host);
  const { refusal, state } = guest;
  if (gaveUp && AT_REST.includes(state)) return { ok: true, result: { state } };
  if (refusal !== null) return { ok: false, ...refusal };
  if (command.to.includes(state)) return { ok: true, result: { state } };
  const detail = `${permit.vm} is ${state}: it ended, or another command came between`;
  return { ok: false, rule: "guest.overtaken", detail };
}

function showPlan(runtime: Runtime, permit: Allowed): Outcome {
  const plan = runtime.plans.find((one) => one.vm === permit.vm);
  if (plan === undefined) return noPlan(permit);
  const jails = { jail: jailSpec(plan), tpm_jail: tpmSpec(plan) };
  return { ok: true, result: { plan, ...jails, plan_file: renderPlan(plan) } };
}

/** The last lines that the guest wrote to its console, as far as they are kept. */
function showLog(runtime: Runtime, permit: Allowed, lines: unknown): Outcome {
  const plan = runtime.plans.find((one) => one.vm === permit.vm);
  if (plan === undefined) return noPlan(permit);
  const path = `${PATHS.dataRoot}/${guestFolder(plan.kind, plan.vm)}/logs/console.log`;
  const bytes = runtime.host.tail(path, LOG_TAIL_BYTES) ?? new Uint8Array();
  const all = new TextDecoder().decode(bytes).split("\n").map((line) =>
    escapeUnsafe(line.replace(/\r$/, ""))
  );
  if (all.at(-1) === "") all.pop();
  const asked = typeof lines === "number" && Number.isInteger(lines) ? lines : LOG_LINES;
  return { ok: true, result: all.slice(-Math.min(MOST_LOG_LINES, Math.max(1, asked))) };
}

/** A stream of what the guest writes to its console, and of what is typed into it. */
function attachConsole(
  runtime: Runtime,
  permit: Allowed<"vm.console">,
  readOnly: unknown = false,
): Outcome {
  if (typeof readOnly !== "boolean") {
    return { ok: false, rule: "control.form", detail: "read_only: expected true or false" };
  }
  const { vm, caller } = permit;
  const stream = runtime.consoles.attach(
    permit,
    readOnly,
    (reason) => runtime.emit({ type: "console_detached", vm, caller, reason }),
  );
  if ("rule" in stream) return { ok: false, ...stream };
  return { ok: true, result: { vm, read_only: readOnly }, stream };
}
