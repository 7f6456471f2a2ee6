/**
 * Phase `measure`: what this boot believes in goes into PCRs of the machine's TPM, before anything is planned by
 * it. Where the policy requires that and it fails, no guest starts.
 */

import { createHash } from "node:crypto";
import { asFault, Fault } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import type { Policy } from "../policy/policy.ts";
import { MAX_REGISTRY_BYTES } from "../registry/registry.ts";
import type { Runtime } from "../runtime.ts";
import { REGISTRY_FILE } from "./registry.ts";

/** The image's account of itself, which names the build. */
const RELEASE_FILE = `${PATHS.imageFacts}/build.json`;
const RELEASE_LIMIT = 256 * 1024;

const sha256 = (bytes: Uint8Array | null) =>
  createHash("sha256").update(bytes ?? new Uint8Array()).digest("hex");

export async function phaseMeasure(runtime: Runtime): Promise<void> {
  const { host, inForce } = runtime;
  if (inForce === null) return;
  const registry = host.read(REGISTRY_FILE, MAX_REGISTRY_BYTES);
  const wanted = await measureBoot(runtime, inForce.policy.security.measure, async () => {
    await runtime.measuring.begin();
    await runtime.measuring.measure("release", sha256(host.read(RELEASE_FILE, RELEASE_LIMIT)));
    await runtime.measuring.measure("policy", inForce.sha256);
    await runtime.measuring.measure("registry", sha256(registry));
  });
  if (wanted !== null) throw wanted;
}

/**
 * Measures the policy that was brought into force since. What it must not fail at by the policy is said by
 * `vm.not_measured` when a guest is to start.
 */
export async function measurePolicy(runtime: Runtime): Promise<void> {
  const { inForce, measuring } = runtime;
  if (inForce === null || !measuring.begun) return;
  await measureBoot(
    runtime,
    inForce.policy.security.measure,
    () => measuring.measure("policy", inForce.sha256),
  );
}

/** @returns why no guest may start; null: nothing stands against it */
async function measureBoot(
  runtime: Runtime,
  measure: Policy["security"]["measure"],
  work: () => Promise<void>,
): Promise<Fault | null> {
  const { emit, measuring } = runtime;
  runtime.measured = false;
  if (measure === "off") return null;
  const required = measure === "required";
  if (!measuring.present) {
    emit({ type: "not_measured", reason: "no TPM" });
    return required ? missing() : null;
  }
  try {
    await work();
    runtime.measured = true;
    return null;
  } catch (error) {
    const fault = asFault(error, "measure", "measure.failed");
    if (required) return fault;
    const { stage, code, message } = fault;
    emit({ type: "fault", stage, code, message });
    const [text = "", hint = ""] = message.split("; ");
    runtime.troubles.push({ code, text, hint });
    return null;
  }
}

function missing(): Fault {
  const why =
    "guests: no TPM, and the policy requires that the boot is measured; switch it on in the firmware, or " +
    'set security.measure = "if_available" and sign the policy';
  return new Fault("measure", "measure.no_tpm", why);
}

/** Gives the TPM the end of the audit log as it is now, or as it was sealed. A fault is told and no more. */
export async function measureHead(
  runtime: Runtime,
  head: { readonly seq: number; readonly hash: string } | null,
): Promise<void> {
  if (head === null) return;
  try {
    await runtime.measuring.measure("audit", head.hash, head.seq);
  } catch (error) {
    const { stage, code, message } = asFault(error, "measure", "measure.failed");
    runtime.emit({ type: "fault", stage, code, message });
  }
}
