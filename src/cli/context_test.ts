import assert from "node:assert/strict";
import type { Probe } from "../host/probes.ts";
import { renderGuests } from "../presentation/status_text.ts";
import { type CliContext, finish } from "./context.ts";
import { doctorPermissions } from "./doctor.ts";
import { FakeTerminal } from "./fake_terminal.ts";
import { hostCommand } from "./host_commands.ts";
import { FakeConnection } from "../guest/fake_connection.ts";
import { policyRules } from "./policy_rules.ts";
import type { CommandResult } from "./policy_result.ts";

/** What of a result comes to standard output, on a screen or elsewhere. */
function shown(result: CommandResult, output: boolean): string {
  let text = "";
  const process = {
    stdout: { write: (more: string) => text += more },
    stderr: { write: () => {} },
  };
  finish(
    { process, terminal: Object.assign(new FakeTerminal(), { output }) } as unknown as CliContext,
    result,
  );
  return text;
}

const LONG = Array.from({ length: 40 }, (_, n) => `word-${n}`).join(" ");

/** What the host says of guests, with as much as there can be. */
async function guests(json: boolean): Promise<CommandResult> {
  const connection = new FakeConnection();
  const result = [{
    vm: "x".repeat(63),
    kind: "windows",
    slot: 63,
    state: "failed",
    violations: LONG.split(" "),
  }];
  connection.onWrite = () =>
    connection.feed(`${JSON.stringify({ v: 0, id: "1", ok: true, result })}\n`);
  const host = { connect: () => Promise.resolve(connection) };
  return await hostCommand({ host } as unknown as CliContext, "vm.list", {}, json, renderGuests);
}

Deno.test("finish cuts what is for a person to 80 columns on a screen, and leaves it whole in a pipe", async () => {
  const probes: Probe[] = [{ kind: "run", tried: LONG, outcome: LONG, refused: true }];
  for (
    const result of [policyRules(false), doctorPermissions(probes, false), await guests(false)]
  ) {
    const words = (text: string) => text.split(/\s+/);
    const screen = shown(result, true);
    assert.ok(screen.split("\n").every((line) => line.length < 80), screen);
    assert.deepEqual(words(screen), words(result.stdout));
    assert.equal(shown(result, false), result.stdout);
  }
  for (const result of [policyRules(true), await guests(true)]) {
    assert.equal(shown(result, true), result.stdout);
  }
});
