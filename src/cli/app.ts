/**
 * The commands of `ray`, each with its help and an example: which there are and what they take. What
 * they do stands in the files beside this one.
 */

import {
  type Application,
  type ApplicationText,
  ArgumentScannerError,
  buildApplication,
  buildCommand,
  buildRouteMap,
  type CommandContext,
  formatMessageForArgumentScannerError,
  text_en,
} from "@stricli/core";
import { renderGrants } from "../permissions.ts";
import { renderGuests, renderStatus } from "../presentation/status_text.ts";
import { vmBackup, vmClone, vmRestore } from "./backup_routes.ts";
import { vmDefine, vmLog, vmRemove, vmShow } from "./change_routes.ts";
import { completionRoutes } from "./completion.ts";
import { type CliContext, guarded } from "./context.ts";
import { diskRoutes } from "./disk_routes.ts";
import { doctorHardening, doctorPermissions } from "./doctor.ts";
import { docs, type Json, jsonFlag } from "./flags.ts";
import { doctorAll } from "./doctor_all.ts";
import { hostCommand } from "./host_commands.ts";
import { bootRoutes, crashRoutes, keys, metrics } from "./host_routes.ts";
import { printable } from "./policy_result.ts";
import { logs } from "./logs_routes.ts";
import { networkRoutes } from "./network_routes.ts";
import { watchStatus } from "./status_watch.ts";
import { hide, inputRoutes, present } from "./presentation_routes.ts";
import { auditRoutes } from "./audit_routes.ts";
import { shareRoutes } from "./share_routes.ts";
import { policyRoutes } from "./policy_routes.ts";
import { vmCommand, vmStart } from "./vm_commands.ts";
import { vmConsole } from "./vm_console.ts";
import { plan as vmPlan } from "./vm_routes.ts";

interface Watch extends Json {
  readonly watch: boolean;
}

const status = buildCommand<Watch, [], CliContext>({
  docs: docs(
    "The host: mode, policy, guests, and what is wrong",
    "ray status --json",
    "ray status --watch",
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      watch: { kind: "boolean", brief: "go on until it is interrupted", default: false },
    },
  },
  func({ json, watch }) {
    return guarded(
      this,
      () => watch ? watchStatus(this, json) : hostCommand(this, "status", {}, json, renderStatus),
    );
  },
});

const vmList = buildCommand<Json, [], CliContext>({
  docs: docs("The guests and their states", "ray vm list"),
  parameters: { flags: { json: jsonFlag } },
  func(flags) {
    return guarded(this, () => hostCommand(this, "vm.list", {}, flags.json, renderGuests));
  },
});

function powerCommand(op: "off" | "reboot", brief: string) {
  return buildCommand<Json, [], CliContext>({
    docs: docs(brief, `ray power ${op}`),
    parameters: { flags: { json: jsonFlag } },
    func(flags) {
      const render = () => "the host is ending\n";
      return guarded(this, () => hostCommand(this, `power.${op}`, {}, flags.json, render));
    },
  });
}

const all = buildCommand<Json, [], CliContext>({
  docs: docs(
    "Everything about the host that holds or does not, each with how it is mended",
    "ray doctor",
  ),
  parameters: { flags: { json: jsonFlag } },
  func(flags) {
    return guarded(this, () => doctorAll(this, flags.json));
  },
});

const permissions = buildCommand<Json, [], CliContext>({
  docs: docs(
    "Try what the program must not be able to do; all must be refused",
    "ray doctor permissions",
  ),
  parameters: { flags: { json: jsonFlag } },
  func(flags) {
    return guarded(this, async () => doctorPermissions(await this.probe(), flags.json));
  },
});

const hardening = buildCommand<Json, [], CliContext>({
  docs: docs(
    "What the kernel says of the host's own hardening; every row must hold",
    "ray doctor hardening",
  ),
  parameters: { flags: { json: jsonFlag } },
  func(flags) {
    return guarded(this, () => doctorHardening(this.host, flags.json));
  },
});

const grants = buildCommand<Record<never, never>, [], CliContext>({
  docs: docs("The program's permissions, as a table", "ray doctor grants"),
  parameters: {},
  func() {
    return guarded(this, () => ({ exit: 0, stdout: `${renderGrants()}\n`, stderr: "" }));
  },
});

/** The parser's words in the form that every error of `ray` has. */
const TEXT: ApplicationText = {
  ...text_en,
  noCommandRegisteredForInput: ({ input, corrections }) => {
    const nearest = corrections.length === 0 ? "" : `, perhaps ${corrections.join(" or ")}`;
    return `rayos: command line: no command ${printable(input)}${nearest}; --help lists them`;
  },
  exceptionWhileParsingArguments: (error) => {
    const why = error instanceof ArgumentScannerError
      ? formatMessageForArgumentScannerError(error, {})
      : String(error);
    return `rayos: command line: ${printable(why)}; --help shows what it takes`;
  },
};

/** `ray` as a whole. */
export function rayApplication(version: string): Application<CliContext & CommandContext> {
  const root = buildRouteMap({
    docs: { brief: "RayOS init: what the host does, may do, and why" },
    routes: {
      status,
      vm: buildRouteMap({
        docs: { brief: "Guests" },
        routes: {
          list: vmList,
          start: vmStart,
          stop: vmCommand("stop", "End a guest in order"),
          kill: vmCommand("kill", "End a guest at once, without asking it"),
          pause: vmCommand("pause", "Hold a guest's virtual CPUs"),
          resume: vmCommand("resume", "Let a paused guest's virtual CPUs go on"),
          suspend: vmCommand(
            "suspend",
            "Save a guest's memory and end it; `vm start` goes on there",
          ),
          "reset-state": vmCommand("reset-state", "Set a guest's saved state aside"),
          log: vmLog,
          console: vmConsole,
          show: vmShow,
          define: vmDefine,
          remove: vmRemove,
          clone: vmClone,
          backup: vmBackup,
          restore: vmRestore,
          plan: vmPlan,
        },
      }),
      disk: diskRoutes,
      network: networkRoutes,
      present,
      hide,
      input: inputRoutes,
      share: shareRoutes,
      policy: policyRoutes,
      power: buildRouteMap({
        docs: { brief: "The machine" },
        routes: {
          off: powerCommand("off", "End guests, then switch the machine off"),
          reboot: powerCommand("reboot", "End guests, then restart the machine"),
        },
      }),
      logs,
      audit: auditRoutes,
      completion: completionRoutes,
      boot: bootRoutes,
      crash: crashRoutes,
      metrics,
      keys,
      doctor: buildRouteMap({
        docs: { brief: "What holds on this host" },
        routes: { all, permissions, grants, hardening },
        defaultCommand: "all",
      }),
    },
  });
  return buildApplication(root, {
    name: "ray",
    versionInfo: { currentVersion: version },
    localization: { text: TEXT },
  });
}
