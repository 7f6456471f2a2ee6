/**
 * What a person looks at a running host with, besides its status: numbers, the course of boots, crash
 * reports, keys and the policy in force. Each is one request over the control socket.
 */

import { buildCommand, buildRouteMap } from "@stricli/core";
import * as v from "valibot";
import { ask } from "../control/client.ts";
import { renderResult } from "../recovery/render.ts";
import type { Shown } from "../recovery/commands.ts";
import { renderPhases } from "../sequence.ts";
import { renderBootChart, TIMELINE } from "./boot_chart.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag, one, optionalText, whole } from "./flags.ts";
import { denied, hostCommand } from "./host_commands.ts";
import type { CommandResult } from "./policy_result.ts";

/** A command that takes nothing and shows what the host answers. */
function looking(op: string, brief: string, example: string, shown: Shown = "fields") {
  return buildCommand<Json, [], CliContext>({
    docs: docs(brief, example),
    parameters: { flags: { json: jsonFlag } },
    func({ json }) {
      const render = (result: unknown) => renderResult(shown, result);
      return guarded(this, () => hostCommand(this, op, {}, json, render));
    },
  });
}

export const metrics = buildCommand<Json, [], CliContext>({
  docs: docs("Numbers of the host and its guests, as OpenMetrics text", "ray metrics"),
  parameters: { flags: { json: jsonFlag } },
  func({ json }) {
    const render = (result: unknown) => String((result as { text?: unknown } | null)?.text ?? "");
    return guarded(this, () => hostCommand(this, "metrics", {}, json, render));
  },
});

const phases = buildCommand<Record<never, never>, [], CliContext>({
  docs: docs("The phases of a boot, in order", "ray boot phases"),
  parameters: {},
  func() {
    return guarded(this, () => ({ exit: 0, stdout: `${renderPhases()}\n`, stderr: "" }));
  },
});

interface Chart extends Json {
  readonly out?: string;
}

const chart = buildCommand<Chart, [], CliContext>({
  docs: docs(
    "This boot as a drawing (SVG): what came before the program, phases, guests, markers",
    "ray boot chart > boot.svg",
    "ray boot chart --out boot.svg",
  ),
  parameters: {
    flags: {
      json: { ...jsonFlag, brief: "print what is drawn, as JSON" },
      out: optionalText("file to write, standard output where not given", "FILE"),
    },
  },
  func({ json, out }) {
    return guarded(this, () => drawChart(this, json, out));
  },
});

async function drawChart(
  context: CliContext,
  json: boolean,
  out: string | undefined,
): Promise<CommandResult> {
  const answer = await ask(context.host, "boot.timeline", {});
  if (!answer.ok) return denied("boot.timeline", answer.error, json);
  const parsed = v.safeParse(TIMELINE, answer.result);
  if (json) return { exit: 0, stdout: `${JSON.stringify(answer.result, null, 2)}\n`, stderr: "" };
  if (!parsed.success) {
    const stderr = "rayos: boot chart: the host answered in another shape; use --json\n";
    return { exit: 1, stdout: "", stderr };
  }
  const svg = renderBootChart(parsed.output);
  if (out === undefined) return { exit: 0, stdout: svg, stderr: "" };
  context.desk.write(out, svg);
  return { exit: 0, stdout: "", stderr: "" };
}

const HISTORY = v.array(v.looseObject({
  boot_id: v.string(),
  wall: v.optional(v.string(), "-"),
  mode: v.optional(v.string(), "-"),
  ready: v.optional(v.boolean(), false),
  ended: v.optional(v.nullable(v.string()), null),
  troubles: v.optional(v.array(v.string()), []),
}));

const history = buildCommand<Json, [], CliContext>({
  docs: docs("What earlier boots came to, the oldest first", "ray boot history"),
  parameters: { flags: { json: jsonFlag } },
  func({ json }) {
    return guarded(this, () => hostCommand(this, "boot.history", {}, json, renderHistory));
  },
});

/** One line a boot, and its troubles below it. */
function renderHistory(result: unknown): string {
  const parsed = v.safeParse(HISTORY, result);
  if (!parsed.success) return renderResult("fields", result);
  const lines = parsed.output.map((boot) => {
    const ready = boot.ready ? "ready" : "never ready";
    const ended = boot.ended ?? "runs, or was cut off";
    return `${boot.wall} ${boot.boot_id.slice(0, 8)} ${boot.mode}, ${ready}, ${ended}` +
      (boot.troubles.length === 0 ? "" : `: ${boot.troubles.join(", ")}`);
  });
  return lines.length === 0 ? "no boot is remembered\n" : renderResult("lines", lines);
}

interface Which extends Json {
  readonly n?: number;
}

const crashShow = buildCommand<Which, [string], CliContext>({
  docs: docs("One crash report: the last of a boot, or its n-th", "ray crash show 11111111"),
  parameters: {
    flags: { json: jsonFlag, n: whole("which of that boot's", "N") },
    positional: one("BOOT", "a boot's id, or its beginning"),
  },
  func({ json, n }, boot) {
    const render = (result: unknown) => renderResult("fields", result);
    const args = { boot, ...n === undefined ? {} : { n } };
    return guarded(this, () => hostCommand(this, "crash.show", args, json, render));
  },
});

export const bootRoutes = buildRouteMap({
  docs: { brief: "The boot" },
  routes: { phases, chart, history },
});

export const crashRoutes = buildRouteMap({
  docs: { brief: "Reports of what ended that should not have" },
  routes: {
    list: looking("crash.list", "Crash reports, the newest first", "ray crash list"),
    show: crashShow,
  },
});

export const keys = looking("keys.list", "Whose signatures count on this host", "ray keys");

export const policyShow = looking(
  "policy.show",
  "The policy in force, line by line",
  "ray policy show",
);
