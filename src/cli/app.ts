/**
 * The commands of `ray`, each with its help and an example: which there are and what they take. What
 * they do stands in the files beside this one.
 */

import {
  type Application,
  buildApplication,
  buildCommand,
  buildRouteMap,
  type CommandContext,
} from "@stricli/core";
import { basename } from "node:path";
import { renderPhases } from "../sequence.ts";
import { MAX_POLICY_BYTES } from "../policy/signature.ts";
import { renderGrants } from "../permissions.ts";
import { type CliContext, guarded } from "./context.ts";
import { doctorPermissions } from "./doctor.ts";
import { hostCommand, renderGuests, renderStatus } from "./host_commands.ts";
import { policyCheck } from "./policy_check.ts";
import { policyKeygen } from "./policy_keygen.ts";
import { policySign } from "./policy_sign.ts";
import { policyVerify } from "./policy_verify.ts";

/** More than a policy may have is read too, so that its size can be said. */
const READ_LIMIT = 4 * MAX_POLICY_BYTES;
const SMALL_LIMIT = 64 * 1024;

const jsonFlag = { kind: "boolean", brief: "print JSON alone", default: false } as const;
const text = (value: string) => value;
const optionalText = (brief: string, placeholder: string) =>
  ({ kind: "parsed", parse: text, optional: true, brief, placeholder }) as const;
const neededText = (brief: string, placeholder: string) =>
  ({ kind: "parsed", parse: text, brief, placeholder }) as const;
const one = (placeholder: string, brief: string) =>
  ({ kind: "tuple", parameters: [{ parse: text, placeholder, brief }] }) as const;
const docs = (brief: string, ...examples: string[]) => ({
  brief,
  fullDescription: `${brief}.\n\nExample: ${examples.join("\n         ")}`,
});

interface Json {
  readonly json: boolean;
}

const status = buildCommand<Json, [], CliContext>({
  docs: docs("The host: mode, policy, guests, and what is wrong", "ray status --json"),
  parameters: { flags: { json: jsonFlag } },
  func(flags) {
    return guarded(this, () => hostCommand(this, "status", {}, flags.json, renderStatus));
  },
});

const vmList = buildCommand<Json, [], CliContext>({
  docs: docs("The guests and their states", "ray vm list"),
  parameters: { flags: { json: jsonFlag } },
  func(flags) {
    return guarded(this, () => hostCommand(this, "vm.list", {}, flags.json, renderGuests));
  },
});

function vmCommand(verb: "start" | "stop", brief: string) {
  return buildCommand<Json, [string], CliContext>({
    docs: docs(brief, `ray vm ${verb} linux-demo-001`),
    parameters: { flags: { json: jsonFlag }, positional: one("ID", "the guest's name") },
    func(flags, vm) {
      const render = (result: unknown) =>
        `${vm}: ${(result as { state?: string } | null)?.state ?? "unknown"}\n`;
      return guarded(this, () => hostCommand(this, `vm.${verb}`, { vm }, flags.json, render));
    },
  });
}

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

const bootPhases = buildCommand<Record<never, never>, [], CliContext>({
  docs: docs("The phases of a boot, in order", "ray boot phases"),
  parameters: {},
  func() {
    return guarded(this, () => ({ exit: 0, stdout: `${renderPhases()}\n`, stderr: "" }));
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

const grants = buildCommand<Record<never, never>, [], CliContext>({
  docs: docs("The program's permissions, as a table", "ray doctor grants"),
  parameters: {},
  func() {
    return guarded(this, () => ({ exit: 0, stdout: `${renderGrants()}\n`, stderr: "" }));
  },
});

const check = buildCommand<Json, [string], CliContext>({
  docs: docs(
    "Everything that is wrong with a policy, as the boot would say it; needs no signature",
    "ray policy check rayos-policy.toml",
  ),
  parameters: { flags: { json: jsonFlag }, positional: one("FILE", "the policy") },
  func(flags, file) {
    return guarded(this, () => policyCheck(file, this.desk.read(file, READ_LIMIT), flags.json));
  },
});

const verify = buildCommand<Json & { key: string; sig?: string }, [string], CliContext>({
  docs: docs(
    "Whether a key signed these bytes; parses nothing",
    "ray policy verify rayos-policy.toml --key policy.pub",
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      key: neededText("public key file", "PUB"),
      sig: optionalText("signature file, FILE.minisig where not given", "SIG"),
    },
    positional: one("FILE", "the policy"),
  },
  func(flags, file) {
    return guarded(this, () =>
      policyVerify({
        name: file,
        bytes: this.desk.read(file, READ_LIMIT),
        signature: this.desk.readOptional(flags.sig ?? `${file}.minisig`, SMALL_LIMIT),
        publicText: new TextDecoder().decode(this.desk.read(flags.key, SMALL_LIMIT)),
        json: flags.json,
      }));
  },
});

const sign = buildCommand<{ secret: string; out?: string }, [string], CliContext>({
  docs: docs(
    "Sign a policy; replaces FILE.minisig",
    "ray policy sign rayos-policy.toml --secret policy.key",
  ),
  parameters: {
    flags: {
      secret: neededText("secret key file", "KEY"),
      out: optionalText("signature file, FILE.minisig where not given", "SIG"),
    },
    positional: one("FILE", "the policy"),
  },
  func(flags, file) {
    return guarded(this, () => {
      const { result, signature } = policySign({
        name: basename(file),
        bytes: this.desk.read(file, READ_LIMIT),
        secretText: new TextDecoder().decode(this.desk.read(flags.secret, SMALL_LIMIT)),
        nowS: this.desk.now().getTime() / 1000,
      });
      if (signature !== null) this.desk.write(flags.out ?? `${file}.minisig`, signature);
      return result;
    });
  },
});

const keygen = buildCommand<{ out: string }, [], CliContext>({
  docs: docs(
    "Make a key pair: BASE.key (0600, never overwritten) and BASE.pub",
    "ray policy keygen --out policy",
  ),
  parameters: { flags: { out: neededText("where: BASE.key and BASE.pub", "BASE") } },
  func(flags) {
    return guarded(this, () => {
      const made = policyKeygen((bytes) => this.desk.random(bytes));
      this.desk.writeSecret(`${flags.out}.key`, made.secretText);
      this.desk.write(`${flags.out}.pub`, made.publicText);
      return made.result;
    });
  },
});

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
          start: vmCommand("start", "Start a guest that the policy allows"),
          stop: vmCommand("stop", "End a guest in order"),
        },
      }),
      policy: buildRouteMap({
        docs: { brief: "Policies and their signatures" },
        routes: { check, verify, sign, keygen },
      }),
      power: buildRouteMap({
        docs: { brief: "The machine" },
        routes: {
          off: powerCommand("off", "End guests, then switch the machine off"),
          reboot: powerCommand("reboot", "End guests, then restart the machine"),
        },
      }),
      boot: buildRouteMap({ docs: { brief: "The boot" }, routes: { phases: bootPhases } }),
      doctor: buildRouteMap({
        docs: { brief: "What holds on this host" },
        routes: { permissions, grants },
      }),
    },
  });
  return buildApplication(root, { name: "ray", versionInfo: { currentVersion: version } });
}
