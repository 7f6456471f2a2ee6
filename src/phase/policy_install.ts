/**
 * Replaces the policy in force by another one without a reboot. The new one is verified and checked
 * whole before anything is written; then its files take their names in an order in which a power cut
 * leaves one whole policy: either the old pair, or the new one, or a state that the next boot brings to
 * its end (`finishInstall`). What only narrows takes effect on running guests at once.
 *
 * Files under `policy/`: `rayos-policy.toml.next` and its `.minisig` while it happens, and
 * `rayos-policy.toml.previous` and its `.minisig` afterwards.
 */

import { dataPath } from "../data_path.ts";
import type { Host } from "../host/port.ts";
import { PATHS } from "../permissions.ts";
import { launchPlan } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";
import { difference, widens } from "../policy/explain.ts";
import type { Policy } from "../policy/policy.ts";
import { MAX_POLICY_BYTES } from "../policy/signature.ts";
import { effectiveGuests } from "../registry/effective.ts";
import type { Outcome } from "../control/protocol.ts";
import type { Runtime } from "../runtime.ts";
import { syncGuests } from "./launch.ts";
import { measurePolicy } from "./measure.ts";
import { settleUplinks } from "./network.ts";
import { limitAll } from "./plan.ts";
import { ACCEPTED_FILE, loadPolicy, type PolicyFiles, policyFiles } from "./policy_source.ts";
import { remember } from "./registry.ts";

const SIGNATURE_LIMIT = 64 * 1024;

function beside(files: PolicyFiles, ending: string): PolicyFiles {
  const policy = `${files.policy}.${ending}`;
  return { policy, signature: `${policy}.minisig` };
}

/**
 * Installs a policy that lies on RayOS Data, or that comes with the request.
 *
 * @param args `file`: its path under the data root, its signature beside it (`.minisig`); or `policy`, its
 *   bytes in base64, and `signature`, the text of its signature; `dry_run`: only what would be allowed and
 *   forbidden by it
 * @returns the differences and what changed for running guests, or the first rule against it
 */
export async function installPolicy(
  runtime: Runtime,
  permit: Allowed<"policy.install">,
  args: Readonly<Record<string, unknown>>,
): Promise<Outcome> {
  if (runtime.cmdline.data.by === "tmpfs") {
    return no("policy.in_image", "the policy of this boot is in the image; build another image");
  }
  const source = sourceOf(runtime, args);
  if ("rule" in source) return source;
  const { host, files } = source;
  const { emit, cmdline, bootId } = runtime;
  const loaded = loadPolicy({ host, emit, cmdline, bootId }, files);
  if (!loaded.ok) {
    for (const one of loaded.issues) runtime.emit({ type: "violation", issue: one, vm: null });
    const [first] = loaded.issues;
    const place = first?.line === null ? "" : ` in line ${first?.line}`;
    return no(
      first?.rule ?? "policy.refused",
      `expected ${first?.expected}, found ${first?.found}${place}` +
        (loaded.issues.length > 1 ? `; ${loaded.issues.length - 1} more in the log` : ""),
    );
  }
  const before = runtime.inForce;
  const differences = before === null ? [] : difference(before, loaded);
  const shown = {
    sha256: loaded.sha256,
    // Without a policy in force there is nothing that it could be compared with.
    compared: before !== null,
    widens: widens(differences),
    differences,
  };
  if (permit.dryRun) return { ok: true, result: { ...shown, dry_run: true } };
  const signature = host.read(files.signature, SIGNATURE_LIMIT);
  replacePolicy(runtime.host, loaded.bytes, signature);
  runtime.bringIntoForce(loaded);
  // No guest starts by it before it is measured, where it requires that; what it forbids waits for no TPM.
  const measured = measurePolicy(runtime);
  // It is in force from here on, whatever fails now: what it forbids ends first.
  const applied = await applyToGuests(runtime, permit, loaded.policy);
  await measured;
  // On a data root where nothing was accepted yet the registry comes first, at the next boot: what is
  // remembered means that there was one.
  if (runtime.registry !== null || runtime.host.lstat(ACCEPTED_FILE) !== null) {
    remember(runtime, loaded);
  }
  return { ok: true, result: { ...shown, ...applied } };
}

/** Where a policy is read from. */
interface Source {
  readonly host: Pick<Host, "read" | "readText" | "list">;
  readonly files: PolicyFiles;
}

/** Names under which a policy that came with a request is read; nothing lies there. */
const BROUGHT: PolicyFiles = { policy: "the request", signature: "the request's signature" };

function sourceOf(
  { host }: Runtime,
  args: Readonly<Record<string, unknown>>,
): Source | Extract<Outcome, { ok: false }> {
  if (args.policy === undefined) {
    const path = dataPath(args.file);
    if (!path.ok) return no(path.rule, `expected ${path.expected}, found ${path.found}`);
    const policy = `${PATHS.dataRoot}/${path.path}`;
    return { host, files: { policy, signature: `${policy}.minisig` } };
  }
  const policy = typeof args.policy === "string" ? fromBase64(args.policy) : null;
  if (policy === null || typeof args.signature !== "string") {
    return no("control.form", "policy: expected base64, and signature: expected its text");
  }
  if (policy.length > MAX_POLICY_BYTES) {
    return no("policy.size", `expected at most ${MAX_POLICY_BYTES} bytes, found ${policy.length}`);
  }
  const signature = args.signature === "" ? null : new TextEncoder().encode(args.signature);
  const brought = new Map([[BROUGHT.policy, policy], [BROUGHT.signature, signature]]);
  return {
    files: BROUGHT,
    host: {
      read: (path, limit) => brought.has(path) ? brought.get(path) ?? null : host.read(path, limit),
      readText: (path, limit) => host.readText(path, limit),
      list: (path) => host.list(path),
    },
  };
}

function fromBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}

/** Puts the new pair into place; each step is one atomic change of a name. */
export function replacePolicy(
  host: Pick<Host, "read" | "replace" | "rename" | "remove">,
  bytes: Uint8Array,
  signature: Uint8Array | null,
): void {
  const now = policyFiles(false);
  const next = beside(now, "next");
  const previous = beside(now, "previous");
  host.replace(next.policy, bytes);
  if (signature !== null) host.replace(next.signature, signature);
  const old = host.read(now.policy, MAX_POLICY_BYTES);
  const oldSignature = host.read(now.signature, SIGNATURE_LIMIT);
  if (old !== null) host.replace(previous.policy, old);
  if (oldSignature !== null) host.replace(previous.signature, oldSignature);
  // From the first of these names on, the next boot goes forward.
  if (signature === null) host.remove(now.signature);
  else host.rename(next.signature, now.signature);
  host.rename(next.policy, now.policy);
}

/**
 * Ends an installation that a power cut interrupted: where the pair in place does not hold but the
 * waiting policy does with the signature in place, it takes its name.
 */
export function finishInstall(runtime: Runtime): void {
  const { host } = runtime;
  const now = policyFiles(false);
  const next = beside(now, "next");
  if (host.lstat(next.policy) === null) return;
  if (loadPolicy(runtime, now).ok) return;
  if (loadPolicy(runtime, { policy: next.policy, signature: now.signature }).ok) {
    host.rename(next.policy, now.policy);
  }
}

/**
 * What the new policy means for guests that run: those that may no longer run are stopped now, CPU and
 * memory of all together are narrowed now, and what cannot change in a running QEMU waits.
 */
async function applyToGuests(
  runtime: Runtime,
  permit: Allowed<"policy.install">,
  policy: Policy,
): Promise<Record<string, unknown>> {
  const { facts, registry, mode } = runtime;
  const stopped: string[] = [];
  const later: string[] = [];
  if (registry === null) return { mode, stopped, later };
  const effective = effectiveGuests(policy, registry);
  runtime.plans = [...effective.guests.values()].map((guest) => launchPlan(policy, guest, facts));
  // A record that cannot be read at all is no matter of this policy's.
  const read = new Set<string>(registry.guests.keys());
  const unread = runtime.broken.filter((one) => !read.has(one.vm));
  runtime.broken = [
    ...unread,
    ...effective.broken.map(({ vmId, issues }) => ({ vm: vmId, issues })),
  ];
  for (const one of effective.broken) for (const found of one.issues) runtime.violation(found);
  runtime.decideAgain();
  await Promise.all([...runtime.guests].map(async ([vm, guest]) => {
    if (effective.guests.get(vm)?.enabled) return;
    if (await guest.stop(permit, "policy_narrowed")) stopped.push(vm);
    // It has no plan any more, and by the old one it does not start again.
    if (!effective.guests.has(vm)) runtime.guests.delete(vm);
  }));
  // What may no longer run ends first, whatever the kernel says to this.
  limitAll(runtime, policy);
  for (const vm of syncGuests(runtime)) later.push(vm);
  await settleUplinks(runtime);
  return { mode, stopped, later };
}

function no(rule: string, detail: string): Extract<Outcome, { ok: false }> {
  return { ok: false, rule, detail };
}
