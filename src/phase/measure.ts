/**
 * Phase `measure`: what this boot believes in goes into PCRs of the machine's TPM, before anything is planned by
 * it. Where the policy requires that and it fails, no guest starts.
 */

import type { Head } from "../audit/verify.ts";
import { asFault, Fault } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import { MAX_REGISTRY_BYTES } from "../registry/registry.ts";
import type { Runtime } from "../runtime.ts";
import { REGISTRY_FILE } from "./registry.ts";
import { sha256Hex } from "../sha256.ts";

/** The image's account of itself, which names the build. */
const RELEASE_FILE = `${PATHS.imageFacts}/build.json`;
const RELEASE_LIMIT = 256 * 1024;

export async function phaseMeasure(runtime: Runtime): Promise<void> {
  const { host, inForce, measuring } = runtime;
  if (inForce === null) return;
  const fault = await attempt(runtime, async () => {
    if (inForce.policy.security.measure === "off") measuring.leaveOut();
    else await measuring.begin();
    const release = host.read(RELEASE_FILE, RELEASE_LIMIT);
    if (release === null) throw unnamed();
    await measuring.measure("release", sha256Hex(release));
    await measuring.measure("policy", inForce.sha256);
    const registry = host.read(REGISTRY_FILE, MAX_REGISTRY_BYTES);
    return await measuring.measure("registry", sha256Hex(registry ?? new Uint8Array()));
  });
  if (fault !== null) throw fault;
}

/**
 * Measures the policy that was brought into force since, whatever it says of measuring itself. What it must not fail
 * at is said by `vm.not_measured` when a guest is to start.
 */
export async function measurePolicy(runtime: Runtime): Promise<void> {
  const { inForce, measuring } = runtime;
  if (inForce === null) return;
  const fault = await attempt(runtime, () => measuring.measure("policy", inForce.sha256));
  if (fault !== null) runtime.trouble(fault);
}

/**
 * @param work gives whether this boot is measured at all
 * @returns why no guest may start; null: nothing stands against it
 */
async function attempt(runtime: Runtime, work: () => Promise<boolean>): Promise<Fault | null> {
  const { emit, measuring, inForce } = runtime;
  const measure = inForce?.policy.security.measure ?? "off";
  const required = measure === "required";
  runtime.measured = false;
  if (!measuring.present) {
    if (measure !== "off") emit({ type: "not_measured", reason: "no TPM" });
    return required ? missing() : null;
  }
  try {
    const measured = await work();
    if (required && !measured) return late();
    runtime.measured = measured;
    runtime.forget(/^measure\./u);
    return null;
  } catch (error) {
    const fault = asFault(error, "measure", "measure.failed");
    if (required) return fault;
    runtime.trouble(fault);
    return null;
  }
}

function late(): Fault {
  const why =
    "guests: this boot began without being measured, and the policy requires it; restart the host";
  return new Fault("measure", "measure.late", why);
}

function unnamed(): Fault {
  const why = `${RELEASE_FILE}: it is not there, so no release can be measured; rebuild the image`;
  return new Fault("measure", "measure.release", why);
}

function missing(): Fault {
  const why =
    "guests: no TPM, and the policy requires that the boot is measured; switch it on in the firmware, or " +
    'set security.measure = "if_available" and sign the policy';
  return new Fault("measure", "measure.no_tpm", why);
}

/** Gives the TPM the end of the audit log as it is now, or as it was sealed. A fault is told and no more. */
export async function measureHead(runtime: Runtime, head: Head | null): Promise<void> {
  if (head === null) return;
  try {
    await runtime.measuring.measure("audit", head.hash, head.seq);
  } catch (error) {
    const { stage, code, message } = asFault(error, "measure", "measure.failed");
    runtime.emit({ type: "fault", stage, code, message });
  }
}
