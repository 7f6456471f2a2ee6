/**
 * `ray policy install`, `ray vm define|remove|show|log`: what changes the running host or looks
 * closer at it, each one request over the control socket.
 */

import { buildCommand } from "@stricli/core";
import { renderInstalled } from "../control/show_policy.ts";
import { escapeUnsafe } from "../escape.ts";
import { Fault } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag, neededText, one, optionalText, whole } from "./flags.ts";
import { hostCommand } from "./host_commands.ts";

/** The path as the host knows it, relative to the data root. @throws Fault `cli.path` */
function underDataRoot(file: string): string {
  const prefix = `${PATHS.dataRoot}/`;
  if (file.startsWith(prefix)) return file.slice(prefix.length);
  if (!file.startsWith("/")) return file;
  throw new Fault(
    "cli",
    "cli.path",
    `${file}: not on RayOS Data; put the policy and its signature under ${PATHS.dataRoot} first`,
  );
}

interface Install extends Json {
  readonly "dry-run": boolean;
}

export const policyInstall = buildCommand<Install, [string], CliContext>({
  docs: docs(
    "Put a signed policy in force without a reboot; what it narrows holds at once",
    `ray policy install ${PATHS.dataRoot}/policy/incoming.toml --dry-run`,
    `ray policy install ${PATHS.dataRoot}/policy/incoming.toml`,
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      "dry-run": { kind: "boolean", brief: "only show what it changes", default: false },
    },
    positional: one("FILE", "the policy, on RayOS Data"),
  },
  func(flags, file) {
    return guarded(this, () => {
      const asked = flags["dry-run"] ? { dry_run: true } : {};
      const args = { file: underDataRoot(file), ...asked };
      return hostCommand(this, "policy.install", args, flags.json, renderInstalled);
    });
  },
});

interface Define extends Json {
  readonly profile: string;
  readonly name?: string;
  readonly vcpus?: number;
  readonly memory?: number;
}

export const vmDefine = buildCommand<Define, [string], CliContext>({
  docs: docs(
    "Make the record of a guest that the policy has a profile for",
    "ray vm define kiosk-1 --profile kiosk --memory 256",
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      profile: neededText("profile of the policy", "NAME"),
      name: optionalText("name for people", "TEXT"),
      vcpus: whole("vCPUs, the profile's where not given", "N"),
      memory: whole("memory in MiB, the profile's where not given", "MIB"),
    },
    positional: one("ID", "the guest's name"),
  },
  func({ json, profile, name, vcpus, memory }, vm) {
    return guarded(this, () => {
      const args = { vm, profile, name, vcpus, memory_mib: memory };
      const render = (result: unknown) => {
        const { slot, folder } = result as { slot?: unknown; folder?: unknown };
        return `${vm}: defined in slot ${escapeUnsafe(String(slot))}; ` +
          `its files go to ${PATHS.dataRoot}/${escapeUnsafe(String(folder))}\n`;
      };
      return hostCommand(this, "vm.define", args, json, render);
    });
  },
});

export const vmRemove = buildCommand<Json, [string], CliContext>({
  docs: docs(
    "Take a guest out of the registry; its folder stays until you remove it",
    "ray vm remove kiosk-1",
  ),
  parameters: { flags: { json: jsonFlag }, positional: one("ID", "the guest's name") },
  func(flags, vm) {
    return guarded(this, () => {
      const render = (result: unknown) => {
        const folder = (result as { folder?: unknown } | null)?.folder;
        if (typeof folder !== "string") return `${vm}: removed\n`;
        return `${vm}: removed; its files are still in ${PATHS.dataRoot}/${
          escapeUnsafe(folder)
        }, ` +
          "and its slot stays taken until they are gone\n";
      };
      return hostCommand(this, "vm.remove", { vm }, flags.json, render);
    });
  },
});

export const vmShow = buildCommand<Json, [string], CliContext>({
  docs: docs("One guest: state, slot, memory, what stands against it", "ray vm show kiosk-1"),
  parameters: { flags: { json: jsonFlag }, positional: one("ID", "the guest's name") },
  func(flags, vm) {
    return guarded(this, async () => {
      const listed = await hostCommand(this, "vm.list", {}, true, String);
      if (listed.exit !== 0) return listed;
      const guests = JSON.parse(listed.stdout) as { vm?: string }[];
      const found = guests.find((guest) => guest.vm === vm);
      if (found === undefined) {
        return { exit: 1, stdout: "", stderr: `rayos: vm show: no guest ${escapeUnsafe(vm)}\n` };
      }
      const rows = Object.entries(found).map(([key, value]) =>
        `${key.padEnd(12)}${escapeUnsafe(Array.isArray(value) ? value.join(" ") : String(value))}\n`
      );
      const stdout = flags.json ? `${JSON.stringify(found, null, 2)}\n` : rows.join("");
      return { exit: 0, stdout, stderr: "" };
    });
  },
});

interface Logs extends Json {
  readonly lines?: number;
}

export const vmLog = buildCommand<Logs, [string], CliContext>({
  docs: docs("The last lines that a guest wrote to its console", "ray vm log kiosk-1 --lines 100"),
  parameters: {
    flags: { json: jsonFlag, lines: whole("how many, 40 where not given, at most 500", "N") },
    positional: one("ID", "the guest's name"),
  },
  func({ json, lines }, vm) {
    return guarded(this, () => {
      const args = lines === undefined ? { vm } : { vm, lines };
      return hostCommand(this, "vm.log", args, json, renderLines);
    });
  },
});

const renderLines = (result: unknown) =>
  (result as unknown[]).map((line) => `${escapeUnsafe(String(line))}\n`).join("");
