/**
 * `ray network enable|disable|end-provisioning`: each one request about one guest's network, and what it
 * has afterwards. They decide nothing; a denial is the host's.
 */

import { buildCommand, buildRouteMap } from "@stricli/core";
import { escapeUnsafe } from "../escape.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag, one } from "./flags.ts";
import { hostCommand } from "./host_commands.ts";

type Verb = "enable" | "disable" | "end-provisioning";

function networkCommand(verb: Verb, brief: string) {
  const op = `network.${verb.replace("-", "_")}`;
  return buildCommand<Json, [string], CliContext>({
    docs: docs(brief, `ray network ${verb} linux-demo-001`),
    parameters: { flags: { json: jsonFlag }, positional: one("ID", "the guest's name") },
    func(flags, vm) {
      const render = (result: unknown) => {
        const { network } = (result ?? {}) as { network?: unknown };
        return `${vm}: network ${escapeUnsafe(String(network ?? "unknown"))}\n`;
      };
      return guarded(this, () => hostCommand(this, op, { vm }, flags.json, render));
    },
  });
}

export const networkRoutes = buildRouteMap({
  docs: { brief: "Guests' networks" },
  routes: {
    enable: networkCommand("enable", "Give a guest the network that the policy gives it"),
    disable: networkCommand("disable", "Take a guest's network away until its next start"),
    "end-provisioning": networkCommand("end-provisioning", "Say that a guest is set up, for good"),
  },
});
