/**
 * `ray completion`: completion for bash. The shell's part asks `ray` itself, so it never knows less
 * than the program.
 */

import { buildCommand, buildRouteMap } from "@stricli/core";
import { type CliContext, guarded } from "./context.ts";
import { docs } from "./flags.ts";

const BASH = `_ray() {
  local IFS=$'\\n'
  COMPREPLY=($(ray completion words "\${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null))
}
complete -o default -F _ray ray
`;

const bash = buildCommand<Record<never, never>, [], CliContext>({
  docs: docs(
    "The lines that make bash complete `ray`",
    'eval "$(ray completion bash)"',
  ),
  parameters: {},
  func() {
    return guarded(this, () => ({ exit: 0, stdout: BASH, stderr: "" }));
  },
});

const words = buildCommand<Record<never, never>, string[], CliContext>({
  docs: docs("What could stand in the place of the last word", "ray completion words vm st"),
  parameters: {
    positional: {
      kind: "array",
      parameter: { parse: (text: string) => text, placeholder: "WORD", brief: "what is typed" },
    },
  },
  func(_, ...typed) {
    return guarded(this, async () => {
      const proposed = await this.propose(typed);
      return { exit: 0, stdout: proposed.map((one) => `${one}\n`).join(""), stderr: "" };
    });
  },
});

export const completionRoutes = buildRouteMap({
  docs: { brief: "Completion for the shell" },
  routes: { bash, words },
});
