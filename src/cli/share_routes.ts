/**
 * `ray share attach|detach`: each one request about one of a guest's shared folders, and which of them it
 * has afterwards. They decide nothing; a denial is the host's.
 */

import { buildCommand, buildRouteMap } from "@stricli/core";
import { escapeUnsafe } from "../escape.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag } from "./flags.ts";
import { hostCommand } from "./host_commands.ts";

function shareCommand(verb: "attach" | "detach", brief: string) {
  return buildCommand<Json, [string, string], CliContext>({
    docs: docs(brief, `ray share ${verb} linux-demo-001 docs`),
    parameters: {
      flags: { json: jsonFlag },
      positional: {
        kind: "tuple",
        parameters: [
          { brief: "the guest's name", parse: String, placeholder: "ID" },
          { brief: "the share's tag in the policy", parse: String, placeholder: "TAG" },
        ],
      },
    },
    func(flags, vm, tag) {
      const render = (result: unknown) => {
        const { shares } = (result ?? {}) as { shares?: unknown };
        const tags = Array.isArray(shares) ? shares.map((one) => escapeUnsafe(String(one))) : [];
        return `${vm}: shares ${tags.join(" ") || "none"}\n`;
      };
      return guarded(
        this,
        () => hostCommand(this, `share.${verb}`, { vm, tag }, flags.json, render),
      );
    },
  });
}

export const shareRoutes = buildRouteMap({
  docs: { brief: "Guests' shared folders" },
  routes: {
    attach: shareCommand("attach", "Give a guest a shared folder that the policy gives it"),
    detach: shareCommand("detach", "Take a shared folder away until the guest's next start"),
  },
});
