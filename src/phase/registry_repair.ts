/**
 * The registry looked at, and put back by a person from a file that holds or from the policy in force;
 * and what the host has set aside. Nothing is removed: what is replaced is set aside too.
 */

import { randomUUID } from "node:crypto";
import type { Outcome } from "../control/protocol.ts";
import { dataPath } from "../data_path.ts";
import { reasonOf } from "../fault.ts";
import { freeAside } from "../free_name.ts";
import { PATHS } from "../permissions.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { LiveOp } from "../policy/ops.ts";
import {
  MAX_REGISTRY_BYTES,
  parseRegistry,
  registryFromPolicy,
  renderRegistry,
} from "../registry/registry.ts";
import type { Operation, Runtime } from "../runtime.ts";
import { shownIssue } from "./policy_view.ts";
import { REGISTRY_FILE } from "./registry.ts";

type Args = Readonly<Record<string, unknown>>;

export function registryRepairOperations(runtime: Runtime): [LiveOp, Operation][] {
  return [
    ["registry.check", (_, args) => check(runtime, args.file)],
    [
      "registry.restore",
      (permit, args) => restore(runtime, permit as Allowed<"registry.restore">, args),
    ],
    ["aside.list", () => ({ ok: true, result: listAside(runtime) })],
    [
      "aside.restore",
      (permit, args) => restoreAside(runtime, permit as Allowed<"aside.restore">, args.path),
    ],
  ];
}

/** Everything that is wrong with a registry. */
function check(runtime: Runtime, file: unknown): Outcome {
  const path = dataPath(file ?? "vm/registry.json");
  if (!path.ok) return no(path.rule, `expected ${path.expected}, found ${path.found}`);
  const bytes = readBounded(runtime, `${PATHS.dataRoot}/${path.path}`);
  if (typeof bytes === "string") return no("registry.unreadable", bytes);
  if (bytes === null) return no("registry.lost", `there is no ${path.path}`);
  const { registry, issues, broken } = parseRegistry(bytes);
  return {
    ok: true,
    result: {
      file: path.path,
      holds: registry !== null,
      guests: [...registry?.guests.keys() ?? []],
      issues: issues.map(shownIssue),
      broken: broken.map((one) => ({ vm: one.vmId, issues: one.issues.map(shownIssue) })),
    },
  };
}

/**
 * Puts a registry in the place of the one that is there.
 *
 * @param args `file`: its path under the data root; or `from_policy`: it is made from the profiles of the
 *   policy in force, with new UUIDs, so that saved states fit no longer
 */
function restore(
  runtime: Runtime,
  permit: Allowed<"registry.restore"> | Allowed<"aside.restore">,
  args: Args,
): Outcome {
  const { host, inForce } = runtime;
  let bytes: Uint8Array;
  if (args.from_policy === true) {
    if (inForce === null) return no("op.no_policy", "no policy is in force to make it from");
    bytes = new TextEncoder().encode(
      renderRegistry(registryFromPolicy(inForce.policy, randomUUID)),
    );
  } else {
    const path = dataPath(args.file);
    if (!path.ok) return no(path.rule, `expected ${path.expected}, found ${path.found}`);
    const read = readBounded(runtime, `${PATHS.dataRoot}/${path.path}`);
    if (read === null) return no("registry.lost", `there is no ${path.path}`);
    if (typeof read === "string") return no("registry.unreadable", read);
    bytes = read;
  }
  const { registry, issues, broken } = parseRegistry(bytes);
  if (registry === null) {
    const [first] = issues;
    const rule = first?.rule ?? "registry.refused";
    return no(rule, `${first?.path}: expected ${first?.expected}, found ${first?.found}`);
  }
  const shown = { guests: [...registry.guests.keys()], broken: broken.map((one) => one.vmId) };
  if (permit.dryRun) return { ok: true, result: { ...shown, dry_run: true } };
  const aside = copyAside(runtime);
  host.replace(REGISTRY_FILE, bytes);
  return { ok: true, result: { ...shown, aside, next: "retry" } };
}

/** A copy of what is there now, under the data root. @returns null where there is nothing */
function copyAside(runtime: Runtime): string | null {
  const { host } = runtime;
  if (host.lstat(REGISTRY_FILE) === null) return null;
  const aside = freeAside(host, REGISTRY_FILE);
  const now = readBounded(runtime, REGISTRY_FILE);
  // A copy first: wherever the power is cut, there is a registry, the old one or the new one.
  if (now instanceof Uint8Array) host.replace(aside, now);
  else host.rename(REGISTRY_FILE, aside);
  return aside.slice(PATHS.dataRoot.length + 1);
}

/** What lies aside. */
interface Aside {
  readonly path: string;
  readonly what: "policy state" | "registry" | "saved state" | "disks before a restore";
}

/** Everything that was set aside on RayOS Data, by its path there. */
function listAside({ host }: Runtime): Aside[] {
  const root = PATHS.dataRoot;
  const named = (folder: string, pattern: RegExp, what: Aside["what"]): Aside[] =>
    host.list(`${root}/${folder}`).filter((name) => pattern.test(name)).sort()
      .map((name) => ({ path: `${folder}/${name}`, what }));
  const guests = ["linux", "windows"].flatMap((kind) =>
    host.list(`${root}/vm/${kind}`).sort().map((vm) => `vm/${kind}/${vm}`)
  );
  return [
    ...named("policy", /^state\.json\.aside(\.\d+)?$/, "policy state"),
    ...named("vm", /^registry\.json\.aside(\.\d+)?$/, "registry"),
    ...guests.flatMap((guest) => [
      ...named(`${guest}/state/aside`, /^\d+$/, "saved state"),
      ...named(`${guest}/backup/aside`, /^\d+$/, "disks before a restore"),
    ]),
  ];
}

const NEVER: Readonly<Record<Exclude<Aside["what"], "registry">, string>> = {
  "policy state": "a serial goes down by `serial accept` alone",
  "saved state":
    "a memory that was set aside never fits its disks again; it is kept for whoever wants to look",
  "disks before a restore": "copy them into the guest's inbox/ and say `ray disk import`",
};

function restoreAside(
  runtime: Runtime,
  permit: Allowed<"aside.restore">,
  path: unknown,
): Outcome {
  const found = listAside(runtime).find((one) => one.path === path);
  if (found === undefined) return no("aside.unknown", "nothing of that name lies aside");
  if (found.what !== "registry") return no("aside.never", NEVER[found.what]);
  return restore(runtime, permit, { file: found.path });
}

/** A file's bytes, null where there is none, or why they cannot be read. */
function readBounded({ host }: Runtime, path: string): Uint8Array | null | string {
  try {
    return host.read(path, MAX_REGISTRY_BYTES);
  } catch (error) {
    return reasonOf(error);
  }
}

function no(rule: string, detail: string): Outcome {
  return { ok: false, rule, detail };
}
