import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { MACHINE_STATES } from "../../src/machine_state.ts";
import { authorize } from "../../src/policy/authorize.ts";
import { MEANING_RULES } from "../../src/policy/meaning_rules.ts";
import { CALLERS, isLive, OPS } from "../../src/policy/ops.ts";
import { DENY_RULES } from "../../src/policy/rules.ts";
import { stalePages } from "../../tools/reference.ts";
import { answersOf, hostOf, requestOf, SITUATIONS } from "../../tools/reference_decisions.ts";
import { asks, question, teach } from "./cedar.ts";

const SRC = path.join(import.meta.dirname ?? ".", "..", "..", "src");

function sources(): { name: string; text: string }[] {
  return fs.readdirSync(SRC, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith("_test.ts"))
    .map((name) => ({ name, text: fs.readFileSync(path.join(SRC, name), "utf8") }));
}

Deno.test("docs/reference says what the tables say (else run tools/rayos deno task docs)", () => {
  assert.deepEqual(stalePages(), []);
});

Deno.test("judge and Cedar agree in every cell of the decision table", () => {
  let cells = 0;
  SITUATIONS.forEach((situation, index) => {
    teach(`situation${index}`, situation.policy, 8192);
    for (const op of OPS) {
      for (const caller of CALLERS) {
        answersOf(situation, op, caller).forEach((answer, at) => {
          const state = hostOf(situation, MACHINE_STATES[at] ?? "failed");
          const theirs = asks(question(`situation${index}`, state, caller, requestOf(op)));
          const place = `${situation.name}: ${op} ${caller} ${MACHINE_STATES[at]}`;
          assert.equal(answer === null, theirs, `${place}: ${answer?.rule}`);
          cells++;
        });
      }
    }
  });
  assert.equal(cells, SITUATIONS.length * OPS.length * CALLERS.length * MACHINE_STATES.length);
});

Deno.test("authorize says what judge says of live operations, and op.not_yet of the others", () => {
  for (const situation of SITUATIONS) {
    for (const op of OPS) {
      for (const caller of CALLERS) {
        answersOf(situation, op, caller).forEach((answer, at) => {
          const state = hostOf(situation, MACHINE_STATES[at] ?? "failed");
          const decision = authorize(situation.policy, state, caller, requestOf(op));
          const rule = decision.allow ? null : decision.rule;
          assert.equal(
            rule,
            isLive(op) ? answer?.rule ?? null : "op.not_yet",
            `${op} ${caller}`,
          );
        });
      }
    }
  }
});

Deno.test("only authorize makes a permit, and nobody forges one", () => {
  for (const { name, text } of sources()) {
    if (name === path.join("policy", "authorize.ts")) continue;
    assert(!/new Permit\b/.test(text), `${name} makes a permit`);
    // A cast to Allowed is fine where the operation is narrowed from a decision's own permit.
    for (const cast of text.matchAll(/([\w.)\]}]+) as (unknown as )?Allowed\b/g)) {
      assert(cast[2] === undefined && /(^|\.)permit$/.test(cast[1] ?? ""), `${name}: ${cast[0]}`);
    }
  }
});

/** What may be asked of a guest. */
const METHODS = [
  ...["start", "stop", "kill", "pause", "resume", "suspend", "resetState"],
  ...["enableNetwork", "disableNetwork", "endProvisioning"],
];

Deno.test("what acts on a guest or the machine takes a permit or is called by what did", () => {
  /** Calls that act, and the only files that may hold them. */
  const acts: readonly [RegExp, readonly string[]][] = [
    [/\.launch\(\s*"jail"/, ["supervisor/machine.ts"]],
    [/\blaunchMachine\(/, ["supervisor/machine.ts", "supervisor/guest_machine.ts"]],
    [/\.launch\(\s*"power"/, ["phase/power.ts"]],
    [/\bendGuest\(/, ["supervisor/ending.ts", "supervisor/guest.ts"]],
    [/\bendStranger\(/, ["supervisor/ending.ts", "phase/power.ts", "phase/strangers.ts"]],
    [/\bkillGuest\(/, [
      "supervisor/ending.ts",
      "supervisor/guest_end.ts",
      "phase/strangers.ts",
    ]],
    [/\bcommandStranger\(/, ["phase/strangers.ts", "phase/guest_commands.ts"]],
    [/"system_powerdown"/, ["supervisor/guest.ts", "supervisor/ending.ts", "guest/qmp.ts"]],
    [/"quit"/, ["supervisor/guest.ts", "supervisor/ending.ts", "saved/save.ts", "guest/qmp.ts"]],
    [/\bsuspendGuest\(/, ["saved/save.ts", "supervisor/saving.ts"]],
    [/\bsaveMachine\(/, ["supervisor/saving.ts", "supervisor/guest_machine.ts"]],
    [/\bloadSaved\(/, ["saved/load.ts", "supervisor/guest_machine.ts"]],
    [/"cont"/, [
      "supervisor/guest.ts",
      "supervisor/guest_machine.ts",
      "guest/qmp.ts",
      // A guest that is held and about to be saved, so that it lets go of its network card.
      "network/taking.ts",
      // The same, so that it lets go of its shares.
      "share/unplug.ts",
    ]],
    [/\.exchange\(/, ["measure/measuring.ts"]],
    [/\.launch\(\s*"net"/, ["network/launcher.ts"]],
    [/\.launch\(\s*"uplink"/, ["phase/network.ts"]],
    [/\blaunchNet\(/, ["network/launcher.ts", "network/guest_network.ts", "phase/network.ts"]],
    [/\.launch\(\s*"share"/, ["share/launcher.ts"]],
    [/\blaunchShare\(/, ["share/launcher.ts", "share/guest_shares.ts", "phase/share_rights.ts"]],
    [/"netdev_add"/, ["network/guest_network.ts", "guest/qmp.ts"]],
    [/"chardev-add"/, ["share/guest_shares.ts", "guest/qmp.ts"]],
    [/"device_add"/, ["network/guest_network.ts", "share/guest_shares.ts", "guest/qmp.ts"]],
  ];
  for (const { name, text } of sources()) {
    for (const [call, files] of acts) {
      if (call.test(text)) assert(files.includes(name), `${name} acts by ${call}`);
    }
  }
  const guest = fs.readFileSync(path.join(SRC, "supervisor", "guest.ts"), "utf8");
  for (const method of METHODS) {
    assert.match(
      guest,
      new RegExp(
        `^ {2}(async )?${method}\\(\\s*_?permit: (Allowed<|StopPermit,|SuspendPermit,)`,
        "m",
      ),
      method,
    );
  }
  const shares = fs.readFileSync(path.join(SRC, "share", "guest_shares.ts"), "utf8");
  for (const method of ["attach", "detach"]) {
    assert.match(shares, new RegExp(`^ {2}async ${method}\\(permit: Allowed<`, "m"), method);
  }
  const power = fs.readFileSync(path.join(SRC, "phase", "power.ts"), "utf8");
  assert.match(power, /^type PowerPermit = Allowed<"power\.off" \| "power\.reboot">;$/m);
  assert.match(power, /^async function endMachine\(runtime: Runtime, permit: PowerPermit,/m);
});

Deno.test("every rule that src gives is in a table, and every rule of a table is given", () => {
  const own = sources().filter((one) =>
    !/policy\/(rules|meaning_rules)\.ts$/.test(one.name.replaceAll("\\", "/"))
  );
  const all = own.map((one) => one.text).join("\n");
  for (const rule of [...Object.keys(DENY_RULES), ...Object.keys(MEANING_RULES)]) {
    assert(all.includes(`"${rule}"`), `${rule} is never given`);
  }
  for (const [, rule] of all.matchAll(/"(meaning\.[a-z_]+)"/g)) {
    assert(Object.hasOwn(MEANING_RULES, rule ?? ""), `${rule} is in no table`);
  }
});
