/**
 * Boots with launchers that are changed, one for each guest: a policy and records of guests that cost
 * little, and the overlay that puts the launchers into the image.
 */

import assert from "node:assert/strict";
import { registryRecord } from "./machine.ts";

const LAUNCHER = new URL("../../initramfs/skeleton/usr/lib/rayos/jail", import.meta.url);

/** Replacements in the launcher's text, in order. */
export type Changes = readonly (readonly [from: string | RegExp, to: string])[];

/** A record of the registry with a raw disk; profiles are those of `TINY_POLICY`. */
export function record(vm: string, slot: number, profile: "tiny" | "whole") {
  return registryRecord(vm, slot, profile, profile === "tiny" ? 32 : 128);
}

/** Guests `tiny`, that boot from an empty disk, and `whole`, the test guest; all start at boot. */
export const TINY_POLICY = `version = 0
serial = 1

[limits]
vms = 64
cpu_percent = 100

[profiles.tiny]
kind = "linux"
enabled = true
autoboot = true

[profiles.tiny.limits]
mem_mib = 32
io_mib_s = 8

[profiles.whole]
kind = "linux"
enabled = true
autoboot = true

[profiles.whole.limits]
mem_mib = 128
io_mib_s = 64

[profiles.whole.boot]
kernel = "vm/linux/{vm_id}/vmlinuz"
initrd = "vm/linux/{vm_id}/initrd.img"
cmdline = "console=hvc0 quiet panic=-1"
`;

/**
 * The launcher, changed in one way for each slot from 1 on; slot 0 and all others have it as it is.
 * A change that no longer fits the launcher's text fails the test.
 */
export async function changedLaunchers(
  cases: readonly { readonly field: string; readonly changes: Changes }[],
  part: "jail" | "its part for a TPM" = "jail",
): Promise<Record<string, { data: string; mode: number }>> {
  const jail = await Deno.readTextFile(LAUNCHER);
  const tpm = await Deno.readTextFile(new URL("jail.tpm", LAUNCHER));
  // The part stands in the launcher's place for it, before what is QEMU's own: it is found first.
  const original = part === "jail"
    ? jail
    : jail.replace('[ -z "$tpm" ] || . /usr/lib/rayos/jail.tpm\n', () => tpm);
  assert.ok(part === "jail" || original !== jail, "the launcher has no part for a TPM");
  const overlay: Record<string, { data: string; mode: number }> = {
    "/usr/lib/rayos/jail.whole": { data: original, mode: 0o755 },
  };
  const branches: string[] = [];
  for (const [index, { field, changes }] of cases.entries()) {
    let text = original;
    for (const [from, to] of changes) {
      const changed = text.replace(from, () => to);
      assert.notEqual(changed, text, `${field}: the launcher has no ${from}`);
      text = changed;
    }
    overlay[`/usr/lib/rayos/jail.${index + 1}`] = { data: text, mode: 0o755 };
    branches.push(`  ${index + 1}) exec /usr/lib/rayos/jail.${index + 1} "$@" ;;`);
  }
  const dispatch = `#!/bin/busybox sh\ncase $1 in\n${branches.join("\n")}\nesac\n` +
    'exec /usr/lib/rayos/jail.whole "$@"\n';
  overlay["/usr/lib/rayos/jail"] = { data: dispatch, mode: 0o755 };
  return overlay;
}
