/**
 * The baseline of the boot benchmark as files of an image: the hand-written /init, the modules it
 * loads and the QEMU command that the program itself would plan for the same guest. It measures
 * nothing.
 */
import { randomUUID } from "node:crypto";
import { readOnDesk } from "../../../src/policy/parse.ts";
import { registryFromPolicy } from "../../../src/registry/registry.ts";
import { effectiveGuests } from "../../../src/registry/effective.ts";
import { launchPlan } from "../../../src/plan/launch_plan.ts";
import { DEFAULT_POLICY, PROJECT } from "../../boot_prepare.ts";
import { moduleLines, sourcesOf } from "../../build.ts";
import { readManifest } from "../../build_manifest.ts";
import type { OverlayFile } from "../../boot_overlay.ts";

/** Name of the outer machine's port through which the baseline's guest agent is asked. */
export const AGENT_PORT = "org.rayos.bench";

/** A word that the shell takes as it is. */
export function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** QEMU's arguments as the program plans them for the guest of the harness's own policy. */
export async function plannedArgv(): Promise<readonly string[]> {
  const { policy } = readOnDesk(await Deno.readFile(DEFAULT_POLICY));
  if (policy === null) throw new Error(`${DEFAULT_POLICY}: no policy; correct it`);
  const { guests } = effectiveGuests(policy, registryFromPolicy(policy, randomUUID));
  const [guest] = guests.values();
  if (guest === undefined) throw new Error(`${DEFAULT_POLICY}: it gives no guest; correct it`);
  return launchPlan(policy, guest, { kvm: true, cpus: 2, memoryMiB: 3072 }).argv;
}

/**
 * The arguments with the one difference that the measurement needs: the agent's port goes through
 * to the harness, which asks it, since there is no program here that would.
 */
export function baselineCommand(argv: readonly string[]): string {
  const words = argv.map((word) =>
    word.startsWith("socket,id=agent,") ? '"pipe,id=agent,path=$agent"' : shellQuoted(word)
  );
  return `$bb chroot $root /usr/bin/qemu-system-x86_64 -no-user-config -nodefaults ${
    words.join(" ")
  }\n`;
}

/** The modules that the image loads on a machine with SVM, in its own order. */
export function modulesOf(): string {
  const manifest = readManifest(`${PROJECT}/initramfs/manifest.jsonc`);
  const sources = sourcesOf(manifest, PROJECT, `${PROJECT}/.cache`, console.error);
  return moduleLines(manifest, sources).split("\n").map((line) => line.split(" "))
    .filter(([when]) => when === "all" || when === "amd")
    .map(([, module]) => `${module}\n`).join("");
}

/**
 * The overlay that turns an image into the baseline.
 * @param before shell text that runs before the guest is started
 */
export async function baselineOverlay(before = ""): Promise<Record<string, OverlayFile>> {
  const init = new URL("../baseline_init.sh", import.meta.url);
  return {
    "/init": await Deno.readTextFile(init),
    "/etc/baseline/modules": modulesOf(),
    "/etc/baseline/qemu": baselineCommand(await plannedArgv()),
    "/etc/baseline/before": before === "" ? ":\n" : `${before}\n`,
  };
}
