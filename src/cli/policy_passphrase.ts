/**
 * `ray policy passphrase`: the line of a policy that opens the recovery shell to whoever knows the
 * passphrase. It keeps nothing.
 */

import { buildCommand } from "@stricli/core";
import { Fault } from "../fault.ts";
import { hashPassphrase, PASSPHRASE_MAX } from "../policy/passphrase.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, optionalText } from "./flags.ts";
import { passwordIn } from "../policy/sealed_key.ts";

interface Flags {
  readonly file?: string;
}

export const policyPassphrase = buildCommand<Flags, [], CliContext>({
  docs: docs(
    "Ask for a recovery passphrase and print the line that a policy carries it by",
    "ray policy passphrase >> rayos-policy.toml",
  ),
  parameters: {
    flags: { file: optionalText("file whose first line is the passphrase", "F") },
  },
  func({ file }) {
    return guarded(this, async () => {
      const passphrase = file === undefined ? await typed(this) : read(this, file);
      const hash = await hashPassphrase(passphrase, (count) => this.desk.random(count));
      passphrase.fill(0);
      return { exit: 0, stdout: `\n[recovery]\npassphrase = '${hash}'\n`, stderr: "" };
    });
  },
});

function read(context: CliContext, file: string): Uint8Array {
  const found = passwordIn(context.desk.read(file, 64 * 1024));
  if (found.ok) return Uint8Array.from(found.password);
  const { expected, found: what } = found.issue;
  throw new Fault("cli", "cli.passphrase", `${file}: expected ${expected}, found ${what}`);
}

/** @throws Fault where nobody is there, or the two are not the same */
async function typed(context: CliContext): Promise<Uint8Array> {
  const first = await context.desk.askPassword("recovery passphrase: ");
  if (first === null) {
    throw new Fault("cli", "cli.passphrase", "passphrase: no terminal to ask at; give --file");
  }
  if (first.length === 0 || first.length > PASSPHRASE_MAX) {
    throw new Fault(
      "cli",
      "cli.passphrase",
      `passphrase: ${first.length} bytes; give 1 to ${PASSPHRASE_MAX}`,
    );
  }
  const second = await context.desk.askPassword("once more: ");
  const same = second !== null && second.length === first.length &&
    second.every((byte, at) => byte === first[at]);
  if (same) return first;
  throw new Fault("cli", "cli.passphrase", "passphrase: the two differ; try again");
}
