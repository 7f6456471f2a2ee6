/**
 * `ray policy …`: the commands with their flags, help and files. What each one does stands in the file
 * of its name.
 */

import { buildCommand, buildRouteMap } from "@stricli/core";
import { Buffer } from "node:buffer";
import { basename } from "node:path";
import { Fault } from "../fault.ts";
import { MAX_POLICY_BYTES } from "../policy/signature.ts";
import { policyInstall } from "./change_routes.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag, neededText, one, optionalText, two } from "./flags.ts";
import { policyCheck } from "./policy_check.ts";
import { policyDiff } from "./policy_diff.ts";
import { policyExplain } from "./policy_explain.ts";
import { policyShow } from "./host_routes.ts";
import { policyKeygen } from "./policy_keygen.ts";
import { policyPassphrase } from "./policy_passphrase.ts";
import { policyRules } from "./policy_rules.ts";
import { policySign } from "./policy_sign.ts";
import { policyVerify } from "./policy_verify.ts";
import { isSealed } from "../policy/secret_key.ts";

/** More than a policy may have is read too, so that its size can be said. */
const READ_LIMIT = 4 * MAX_POLICY_BYTES;
const SMALL_LIMIT = 64 * 1024;

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

const passwordFile = optionalText("file whose first line is the key's password", "F");

interface Sign {
  readonly secret: string;
  readonly "password-file"?: string;
  readonly out?: string;
}

const sign = buildCommand<Sign, [string], CliContext>({
  docs: docs(
    "Sign a policy; replaces FILE.minisig",
    "ray policy sign rayos-policy.toml --secret policy.key",
  ),
  parameters: {
    flags: {
      secret: neededText("secret key file", "KEY"),
      "password-file": passwordFile,
      out: optionalText("signature file, FILE.minisig where not given", "SIG"),
    },
    positional: one("FILE", "the policy"),
  },
  func(flags, file) {
    return guarded(this, async () => {
      const bytes = this.desk.read(file, READ_LIMIT);
      const secretText = new TextDecoder().decode(this.desk.read(flags.secret, SMALL_LIMIT));
      const { result, signature } = await policySign({
        name: basename(file),
        bytes,
        secretText,
        passwordFile: optional(this, flags["password-file"]) ??
          (isSealed(secretText) ? await this.desk.askPassword("password of the key: ") : null),
        nowS: this.desk.now().getTime() / 1000,
      });
      if (signature !== null) this.desk.write(flags.out ?? `${file}.minisig`, signature);
      return result;
    });
  },
});

interface Keygen {
  readonly out: string;
  readonly "password-file"?: string;
}

const keygen = buildCommand<Keygen, [], CliContext>({
  docs: docs(
    "Make a key pair: BASE.key (0600, never overwritten) and BASE.pub; asks for a password at a terminal",
    "ray policy keygen --out policy",
    "ray policy keygen --out policy --password-file password.txt",
  ),
  parameters: {
    flags: {
      out: neededText("where: BASE.key and BASE.pub", "BASE"),
      "password-file": passwordFile,
    },
  },
  func(flags) {
    return guarded(this, async () => {
      const { result, files } = await policyKeygen(
        (bytes) => this.desk.random(bytes),
        optional(this, flags["password-file"]) ?? await newPassword(this),
      );
      if (files !== null) {
        this.desk.writeSecret(`${flags.out}.key`, files.secretText);
        this.desk.write(`${flags.out}.pub`, files.publicText);
      }
      return result;
    });
  },
});

/** Typed twice; null without a terminal, or where nothing was typed. */
async function newPassword({ desk }: CliContext): Promise<Uint8Array | null> {
  const first = await desk.askPassword("password for the new key, nothing for none: ");
  if (first === null || first.length === 0) return null;
  const again = await desk.askPassword("the same again: ");
  if (again !== null && Buffer.compare(first, again) === 0) return first;
  throw new Fault("cli", "key.password_differs", "keygen: the two differ; run it again");
}

function optional(context: CliContext, file: string | undefined): Uint8Array | null {
  return file === undefined ? null : context.desk.read(file, SMALL_LIMIT);
}

const explain = buildCommand<Json & { vm?: string }, [string], CliContext>({
  docs: docs(
    "What a policy gives and withholds, in words, with the line of each; needs no signature",
    "ray policy explain rayos-policy.toml --vm linux-desktop-001",
  ),
  parameters: {
    flags: { json: jsonFlag, vm: optionalText("only what concerns this guest", "ID") },
    positional: one("FILE", "the policy"),
  },
  func(flags, file) {
    return guarded(this, () =>
      policyExplain({
        name: file,
        bytes: this.desk.read(file, READ_LIMIT),
        vm: flags.vm ?? null,
        json: flags.json,
      }));
  },
});

const diff = buildCommand<Json, [string, string], CliContext>({
  docs: docs(
    "What a new policy allows that the old one did not, and the reverse; exit code 1 if it widens",
    "ray policy diff rayos-policy.toml new-policy.toml",
  ),
  parameters: {
    flags: { json: jsonFlag },
    positional: two(["OLD", "the policy as it is"], ["NEW", "the policy as it shall be"]),
  },
  func(flags, old, next) {
    const named = (name: string) => ({ name, bytes: this.desk.read(name, READ_LIMIT) });
    return guarded(this, () => policyDiff(named(old), named(next), flags.json));
  },
});

const rules = buildCommand<Json, [], CliContext>({
  docs: docs("The rules by which a request is denied", "ray policy rules"),
  parameters: { flags: { json: jsonFlag } },
  func(flags) {
    return guarded(this, () => policyRules(flags.json));
  },
});

const schema = buildCommand<Record<never, never>, [], CliContext>({
  docs: docs(
    "The policy's shape as JSON Schema 2020-12, for an editor",
    "ray policy schema > rayos-policy.schema.json",
  ),
  parameters: {},
  func() {
    return guarded(this, async () => {
      const { policyJsonSchema } = await import("../policy/json_schema.ts");
      const stdout = `${JSON.stringify(policyJsonSchema(), null, 2)}\n`;
      return { exit: 0, stdout, stderr: "" };
    });
  },
});

/** `ray policy …`. */
export const policyRoutes = buildRouteMap({
  docs: { brief: "Policies and their signatures" },
  routes: {
    install: policyInstall,
    show: policyShow,
    check,
    explain,
    diff,
    rules,
    schema,
    verify,
    sign,
    keygen,
    passphrase: policyPassphrase,
  },
});
