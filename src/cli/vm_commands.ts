/**
 * `ray vm start|stop|kill|pause|resume|suspend|reset-state`: each one request about one guest, and the
 * state that it led to. They decide nothing; a denial is the host's.
 */

import { buildCommand } from "@stricli/core";
import * as v from "valibot";
import { ask } from "../control/client.ts";
import { escapeUnsafe } from "../escape.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag, one } from "./flags.ts";
import { hostCommand } from "./host_commands.ts";
import type { CommandResult } from "./policy_result.ts";
import { showingProgress } from "./progress.ts";

/** Milliseconds between two looks at a guest that is waited for. */
const LOOK_MS = 500;

type Verb = "stop" | "kill" | "pause" | "resume" | "suspend" | "reset-state";

const renderState = (vm: string) => (result: unknown) =>
  `${vm}: ${escapeUnsafe(String((result as { state?: unknown } | null)?.state ?? "unknown"))}\n`;

/** A command about one guest that takes nothing but its name. */
export function vmCommand(verb: Verb, brief: string) {
  const op = `vm.${verb.replace("-", "_")}`;
  return buildCommand<Json, [string], CliContext>({
    docs: docs(brief, `ray vm ${verb} linux-demo-001`),
    parameters: { flags: { json: jsonFlag }, positional: one("ID", "the guest's name") },
    func(flags, vm) {
      const work = () => hostCommand(this, op, { vm }, flags.json, renderState(vm));
      return guarded(this, () => showingProgress(this, vm, flags.json, work));
    },
  });
}

interface Start extends Json {
  readonly wait: boolean;
}

export const vmStart = buildCommand<Start, [string], CliContext>({
  docs: docs(
    "Start a guest that the policy allows, from its saved state where there is one",
    "ray vm start linux-demo-001",
    "ray vm start linux-demo-001 --wait",
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      wait: { kind: "boolean", brief: "wait until its agent answers", default: false },
    },
    positional: one("ID", "the guest's name"),
  },
  func(flags, vm) {
    const { json } = flags;
    const work = async () => {
      const started = await hostCommand(this, "vm.start", { vm }, json, renderState(vm));
      return started.exit === 0 && flags.wait ? await untilReady(this, vm, json) : started;
    };
    return guarded(this, () => showingProgress(this, vm, json, work));
  },
});

const LISTED = v.array(v.looseObject({
  vm: v.string(),
  state: v.string(),
  agent: v.optional(v.boolean(), false),
}));

/** Looks at the guest until its agent answered, or it runs no more; exit code 1 then. */
async function untilReady(context: CliContext, vm: string, json: boolean): Promise<CommandResult> {
  while (true) {
    const answer = await ask(context.host, "vm.list");
    const listed = v.safeParse(LISTED, answer.ok ? answer.result : null);
    const guest = listed.success ? listed.output.find((found) => found.vm === vm) : undefined;
    const state = guest?.state ?? "unknown";
    if (guest?.agent || state !== "running") {
      const ready = guest?.agent === true;
      const stdout = json
        ? `${JSON.stringify({ state, ready }, null, 2)}\n`
        : `${vm}: ${ready ? "ready" : escapeUnsafe(state)}\n`;
      return { exit: ready ? 0 : 1, stdout, stderr: "" };
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
