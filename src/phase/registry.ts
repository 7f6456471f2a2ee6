/**
 * Phase `registry`: who exists. A missing file on a data root that never had one is made from the
 * policy; a damaged one is left as it is and means safe mode; a damaged record fails that guest alone.
 * When both documents were accepted, the policy's serial is remembered.
 */

import { randomUUID } from "node:crypto";
import { Fault } from "../fault.ts";
import { type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { nextAccepted, parseAccepted, renderAccepted } from "../policy/accepted.ts";
import {
  MAX_REGISTRY_BYTES,
  parseRegistry,
  registryFromPolicy,
  renderRegistry,
} from "../registry/registry.ts";
import type { Registry } from "../registry/guest.ts";
import type { PolicyInForce, Runtime } from "../runtime.ts";
import { textOrDamaged } from "./damaged_text.ts";
import { finishPending } from "./pending_finish.ts";
import { ACCEPTED_FILE } from "./policy_source.ts";

export const REGISTRY_FILE = `${PATHS.dataRoot}/vm/registry.json`;

export function phaseRegistry(runtime: Runtime): void {
  const { host, inForce } = runtime;
  if (inForce === null) return;
  const unfinished = finishPending(runtime, REGISTRY_FILE);
  const bytes = readRegistry(runtime);
  if (bytes === null) {
    if (hasHistory(runtime)) {
      deny(runtime, [
        issue("registry.lost", {
          path: "vm/registry.json",
          expected: "the registry, since guests have been here",
          found: "no such file",
          hint: "put back the registry from a backup",
        }),
      ]);
    }
    const registry = registryFromPolicy(inForce.policy, randomUUID);
    host.replace(REGISTRY_FILE, renderRegistry(registry));
    runtime.registry = registry;
  } else {
    const parsed = parseRegistry(bytes);
    if (parsed.registry === null) deny(runtime, parsed.issues);
    runtime.registry = parsed.registry;
    for (const one of parsed.broken) {
      for (const found of one.issues) runtime.violation(found);
      runtime.broken.push({ vm: one.vmId, issues: one.issues });
    }
  }
  for (const one of unfinished) {
    for (const found of one.issues) runtime.violation(found);
    runtime.broken.push(one);
    runtime.registry = without(runtime.registry, one.vm);
  }
  remember(runtime, inForce);
}

/** No plan is made for a guest whose files are between two states. */
function without(registry: Registry, vm: string): Registry {
  const guests = [...registry.guests].filter(([id]) => id !== vm);
  return { version: 0, guests: new Map(guests) };
}

function readRegistry(runtime: Runtime): Uint8Array | null {
  try {
    return runtime.host.read(REGISTRY_FILE, MAX_REGISTRY_BYTES);
  } catch (error) {
    return deny(runtime, [
      issue("registry.unreadable", {
        path: "vm/registry.json",
        expected: `a readable file of at most ${MAX_REGISTRY_BYTES} bytes`,
        found: error instanceof Error ? error.message : String(error),
        hint: "put back a registry that was saved before",
      }),
    ]);
  }
}

/** A remembered serial means that a policy was accepted here, and so a registry was written. */
function hasHistory(runtime: Runtime): boolean {
  return runtime.cmdline.data.by !== "tmpfs" && runtime.host.lstat(ACCEPTED_FILE) !== null;
}

/** Writes down the serial that was accepted, so that no lower one is accepted again. */
export function remember(runtime: Runtime, inForce: PolicyInForce): void {
  if (runtime.cmdline.data.by === "tmpfs") return;
  const { host } = runtime;
  const remembered = parseAccepted(textOrDamaged(host, ACCEPTED_FILE, 4096));
  if (remembered !== null && "rule" in remembered) deny(runtime, [remembered]);
  const next = nextAccepted(remembered, {
    serial: inForce.policy.serial,
    sha256: inForce.sha256,
    passphrase: inForce.policy.recoveryPassphrase,
  });
  if (next !== null) host.replace(ACCEPTED_FILE, renderAccepted(next));
  runtime.accepted = true;
}

function deny(runtime: Runtime, issues: readonly Issue[]): never {
  for (const one of issues) runtime.violation(one);
  const rule = issues[0]?.rule ?? "registry.refused";
  throw new Fault("registry", rule, `registry: refused by ${rule}; see the violations above`);
}
