/**
 * `ray vm …` for what is planned or kept in the registry: the commands with their flags, help and
 * files. What each one does stands in the file of its name.
 */
import { buildCommand } from "@stricli/core";
import { PATHS } from "../permissions.ts";
import { MAX_POLICY_BYTES } from "../policy/signature.ts";
import { MAX_REGISTRY_BYTES } from "../registry/registry.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag, one, optionalText } from "./flags.ts";
import { vmPlan } from "./vm_plan.ts";

const SMALL_LIMIT = 64 * 1024;

interface Plan extends Json {
  readonly policy?: string;
  readonly data?: string;
  readonly host?: string;
}

export const plan = buildCommand<Plan, [string], CliContext>({
  docs: docs(
    "Exactly what a start of a guest would use: arguments, jail, cgroup, devices; starts nothing",
    "ray vm plan linux-demo-001",
    "ray vm plan linux-demo-001 --policy p.toml --data disk/ --host facts.json",
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      policy: optionalText("the policy, DIR/policy/rayos-policy.toml where not given", "F"),
      data: optionalText(`the data root, ${PATHS.dataRoot} where not given`, "DIR"),
      host: optionalText(`a host's facts, ${PATHS.run}/facts.json where not given`, "FACTS"),
    },
    positional: one("ID", "the guest's name"),
  },
  func(flags, id) {
    return guarded(this, () => {
      const data = flags.data ?? PATHS.dataRoot;
      const read = (name: string, limit: number) => ({ name, bytes: this.desk.read(name, limit) });
      const registry = `${data}/vm/registry.json`;
      return vmPlan(id, {
        policy: read(flags.policy ?? `${data}/policy/rayos-policy.toml`, MAX_POLICY_BYTES),
        registry: this.desk.exists(registry) ? read(registry, MAX_REGISTRY_BYTES) : null,
        facts: read(flags.host ?? `${PATHS.run}/facts.json`, SMALL_LIMIT),
      }, flags.json);
    });
  },
});
