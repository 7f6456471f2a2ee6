import assert from "node:assert/strict";
import fc from "fast-check";
import { isWhileLocked, OP_TABLE } from "../policy/ops.ts";
import { COMMANDS, usageOf } from "./commands.ts";
import { complete, onLine, renderHelp } from "./shell.ts";

const ANY_WORD: Readonly<Record<string, string>> = { N: "3", KIND: "dumb" };

/** A line that the command takes, with all its arguments. */
function lineOf({ name, args = [] }: typeof COMMANDS[number]): string {
  return [name, ...args.map((one) => ANY_WORD[one.name] ?? "some-name")].join(" ");
}

Deno.test("onLine asks for nothing by a line that is none of its commands, and echoes nothing that moves a cursor", () => {
  const first = new Set(COMMANDS.map((one) => one.name.split(" ")[0]));
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 80 }), (line) => {
      fc.pre(!first.has(line.trim().split(/\s+/)[0] ?? ""));
      const asked = onLine(line);
      assert.equal(asked.kind, "text");
      if (asked.kind === "text") assert.doesNotMatch(asked.text, /[^\P{Cc}\n]|\p{Cf}/u);
    }),
  );
});

Deno.test("onLine takes each command as its usage says, and refuses one word more", () => {
  for (const command of COMMANDS) {
    assert.notEqual(onLine(lineOf(command)).kind, "text");
    const more = onLine(`${lineOf(command)} surplus`);
    assert.ok(
      more.kind === "text" && more.text.includes(`usage: ${usageOf(command)}`),
      command.name,
    );
    const flag = onLine(`${lineOf(command)} --surplus`);
    assert.ok(flag.kind === "text" && flag.text.includes("takes no --surplus"), command.name);
  }
});

Deno.test("COMMANDS that change something take --dry-run and hand it on; the others ask for what a locked shell may", () => {
  for (const command of COMMANDS) {
    const asked = onLine(lineOf(command));
    const dry = onLine(`${lineOf(command)} --dry-run`);
    if (command.changes) {
      assert.ok(
        dry.kind === "op" ? dry.args["dry_run"] === true : dry.kind === "own" && dry.dryRun,
        command.name,
      );
      assert.ok(asked.kind !== "op" || asked.args["dry_run"] === undefined);
    } else {
      assert.equal(dry.kind, "text", command.name);
      // Who sits before the host's screen is no shell that could be locked.
      if (asked.kind === "op" && !asked.console) {
        assert.ok(isWhileLocked(asked.op), command.name);
      }
    }
    // Whatever it asks for, the shell is somebody who may ask for it.
    const caller = asked.kind === "op" && asked.console ? "console" : "recovery";
    if (asked.kind === "op") assert.ok(OP_TABLE[asked.op].callers.includes(caller));
  }
});

Deno.test("onLine says what is missing, and which verbs a word has", () => {
  const said = (line: string) => {
    const asked = onLine(line);
    return asked.kind === "text" ? asked.text : asked.kind;
  };
  assert.match(said("vm show"), /^vm show needs ID\nusage: vm show ID\n$/);
  assert.match(said("vm"), /^vm: say which of list, show, /);
  assert.match(said("log 0"), /^N is a number from 1 to 500/);
  assert.match(said("poweron"), /no such command; `help`/);
  assert.equal(said("   "), "");
  assert.equal(said("  status\t"), "op");
});

Deno.test("renderHelp fits 80 columns and names every command", () => {
  const text = renderHelp("");
  for (const line of text.split("\n")) assert.ok(line.length < 80, line);
  for (const { name } of COMMANDS) assert.ok(text.includes(`  ${name} `), name);
  assert.match(
    renderHelp("registry"),
    /registry restore \[FILE\] \[--from-policy\] \[--dry-run\]\n/,
  );
  assert.match(renderHelp("\x1b[2J"), /^\\u001b\[2J: no such command/);
});

Deno.test("complete proposes commands, their verbs, flags, and what there is of an argument", () => {
  const names = { guest: () => ["demo", "desk"], policy: () => ["policy/a.toml"] };
  const words = (before: string) => complete(before, names).words;
  assert.deepEqual(words("po"), ["policy", "poweroff"]);
  assert.deepEqual(words("policy in"), ["install"]);
  assert.deepEqual(words("policy install "), ["policy/a.toml"]);
  assert.deepEqual(words("policy install policy/a.toml --"), ["--dry-run"]);
  assert.deepEqual(words("vm stop --dry-run d"), ["demo", "desk"]);
  assert.deepEqual(words("terminal "), ["dumb", "vt"]);
  for (const none of ["nothing ", "status ", "vm stop demo ", "crash show "]) {
    assert.deepEqual(words(none), [], none);
  }
});
