/**
 * The commands of the recovery shell, in one table: how each is called, whether it changes anything, and
 * what it asks of the host. The help, the completion, the handbook and what a line means all come from it.
 * Nothing here acts: an operation is decided by `authorize` and carried out by the host, as one that came
 * over the control socket.
 */

import type { Op } from "../policy/ops.ts";

/** What an argument may be; completion proposes those that there are. */
export type ArgumentKind =
  | "guest"
  | "policy"
  | "registry"
  | "crash"
  | "aside"
  | "subject"
  | "count"
  | "source"
  | "event"
  | "entry"
  | "command"
  | "terminal";

export interface Argument {
  readonly name: string;
  readonly kind: ArgumentKind;
  readonly optional?: true;
}

/** How the answer is shown. */
export type Shown =
  | "status"
  | "guests"
  | "network"
  | "guest"
  | "lines"
  /** Lines that a guest wrote. */
  | "guest_lines"
  | "policy_check"
  | "installed"
  | "statements"
  | "fields";

/** What a line asks for. */
export type Asked =
  | { readonly kind: "text"; readonly text: string }
  | {
    readonly kind: "op";
    readonly op: Op;
    readonly args: Readonly<Record<string, unknown>>;
    readonly shown: Shown;
    /** Asked as the person before the host's own screen, and there alone. */
    readonly console?: true;
    /** The one guest of the answer that is shown. */
    readonly only?: string | undefined;
  }
  /** What the shell does itself; none of it changes a file. */
  | {
    readonly kind: "own";
    readonly what: "why" | "help" | "retry" | "unlock" | "lock" | "paste" | "terminal" | "exit";
    readonly word: string;
    readonly dryRun: boolean;
  };

/** What was given with a command. */
export interface Given {
  readonly words: Readonly<Record<string, string>>;
  readonly flags: ReadonlySet<string>;
  readonly dryRun: boolean;
}

export interface ShellCommand {
  /** One or two words. */
  readonly name: string;
  readonly does: string;
  readonly args?: readonly Argument[];
  readonly flags?: readonly string[];
  /** It takes `--dry-run`. */
  readonly changes?: true;
  readonly asks: (given: Given) => Asked;
}

const op = (name: Op, args: Readonly<Record<string, unknown>>, shown: Shown) => ({
  kind: "op" as const,
  op: name,
  args,
  shown,
});
const own = (what: Extract<Asked, { kind: "own" }>["what"], given: Given, word = ""): Asked => ({
  kind: "own",
  what,
  word,
  dryRun: given.dryRun,
});
/** With `dry_run` where that was asked for. */
const dry = ({ dryRun }: Given, args: Readonly<Record<string, unknown>> = {}) =>
  dryRun ? { ...args, dry_run: true } : args;
const lines = (given: Given) => {
  const { N } = given.words;
  return N === undefined ? {} : { lines: Number(N) };
};

/** Asked by whoever sits before the host's own screen. */
const atScreen = (name: Op, args: Readonly<Record<string, unknown>>): Asked => ({
  ...op(name, args, "fields"),
  console: true,
});

const GUEST: Argument = { name: "ID", kind: "guest" };
const COUNT: Argument = { name: "N", kind: "count", optional: true };
const POLICY: Argument = { name: "FILE", kind: "policy" };
const REGISTRY: Argument = { name: "FILE", kind: "registry", optional: true };

/** A command about one guest that takes nothing but its name. */
function guestCommand(verb: string, name: Op, does: string): ShellCommand {
  return {
    name: `vm ${verb}`,
    args: [GUEST],
    does,
    changes: true,
    asks: (given) => op(name, dry(given, { vm: given.words["ID"] }), "fields"),
  };
}

/** The table, in the order of the help. */
export const COMMANDS: readonly ShellCommand[] = [
  { name: "why", does: "what is wrong and how to mend it", asks: (g) => own("why", g) },
  {
    name: "status",
    does: "the host, its policy and its guests",
    asks: () => op("status", {}, "status"),
  },
  {
    name: "log",
    args: [COUNT],
    does: "the last lines of the log, 40 or as many as you say",
    asks: (given) => op("logs.tail", lines(given), "lines"),
  },
  {
    name: "audit show",
    does: "the last records of what was asked of the host and decided",
    asks: () => op("audit.show", {}, "fields"),
  },
  {
    name: "audit verify",
    does: "whether the chain of records is whole",
    asks: () => op("audit.verify", {}, "fields"),
  },
  {
    name: "crash list",
    does: "reports of crashes",
    asks: () => op("crash.list", {}, "fields"),
  },
  {
    name: "crash show",
    args: [{ name: "BOOT", kind: "crash" }, COUNT],
    does: "one report: the last of a boot, or its N-th",
    asks: ({ words }) => {
      const which = words["N"] === undefined ? {} : { n: Number(words["N"]) };
      return op("crash.show", { boot: words["BOOT"], ...which }, "fields");
    },
  },
  {
    name: "boot history",
    does: "what earlier boots came to",
    asks: () => op("boot.history", {}, "fields"),
  },
  {
    name: "boot next",
    args: [{ name: "ENTRY", kind: "entry" }],
    does: "which release the next boot takes",
    changes: true,
    asks: (given) => op("boot.next", dry(given, { entry: given.words["ENTRY"] }), "fields"),
  },
  {
    name: "policy check",
    args: [{ ...POLICY, optional: true }],
    does: "all that stands against the policy there, or against a file",
    asks: ({ words }) =>
      op(
        "policy.check",
        words["FILE"] === undefined ? {} : { file: words["FILE"] },
        "policy_check",
      ),
  },
  {
    name: "policy show",
    does: "the policy in force, line by line",
    asks: () => op("policy.show", {}, "fields"),
  },
  {
    name: "policy explain",
    args: [{ name: "SUBJECT", kind: "subject", optional: true }],
    does: "what the policy in force gives: host, or a profile",
    asks: ({ words }) => {
      const { SUBJECT } = words;
      return op("policy.explain", SUBJECT === undefined ? {} : { subject: SUBJECT }, "statements");
    },
  },
  {
    name: "policy install",
    args: [POLICY],
    does: "put a signed policy of RayOS Data in force",
    changes: true,
    asks: (given) => op("policy.install", dry(given, { file: given.words["FILE"] }), "installed"),
  },
  {
    name: "policy paste",
    does: "the same of one that is pasted into this terminal",
    changes: true,
    asks: (given) => own("paste", given),
  },
  {
    name: "keys",
    does: "whose signatures count here",
    asks: () => op("keys.list", {}, "fields"),
  },
  { name: "vm list", does: "the guests and their states", asks: () => op("vm.list", {}, "guests") },
  {
    name: "vm show",
    args: [GUEST],
    does: "all about one guest",
    asks: ({ words }) => ({ ...op("vm.list", {}, "guest"), only: words["ID"] }),
  },
  {
    name: "vm plan",
    args: [GUEST],
    does: "how it would be launched",
    asks: ({ words }) => op("vm.plan", { vm: words["ID"] }, "fields"),
  },
  {
    name: "vm log",
    args: [GUEST, COUNT],
    does: "the last lines of its console",
    asks: (given) => op("vm.log", { vm: given.words["ID"], ...lines(given) }, "guest_lines"),
  },
  guestCommand("stop", "vm.stop", "end one that runs, in order"),
  guestCommand("kill", "vm.kill", "end one at once"),
  guestCommand("reset-state", "vm.reset_state", "set its saved memory aside"),
  guestCommand("remove", "vm.remove", "take its record out; its files stay"),
  {
    name: "present",
    args: [GUEST],
    does: "show one that runs; at the host's screen, where the policy allows `console`",
    changes: true,
    asks: (given) => atScreen("present", dry(given, { vm: given.words["ID"] })),
  },
  {
    name: "input devices",
    does: "keyboards and pointers that are there; at the host's screen",
    asks: () => atScreen("input.devices", {}),
  },
  {
    name: "input accept",
    args: [{ name: "EVENT", kind: "event" }],
    does: "use one that was plugged in later; at the host's screen",
    changes: true,
    asks: (given) => atScreen("input.accept", dry(given, { event: given.words["EVENT"] })),
  },
  {
    name: "registry check",
    args: [REGISTRY],
    does: "all that is wrong with the registry, or with a file",
    asks: ({ words }) =>
      op("registry.check", words["FILE"] === undefined ? {} : { file: words["FILE"] }, "fields"),
  },
  {
    name: "registry restore",
    args: [REGISTRY],
    flags: ["--from-policy"],
    does: "put a file in its place, or one made from the policy",
    changes: true,
    asks: (given) => {
      const made = given.flags.has("--from-policy")
        ? { from_policy: true }
        : { file: given.words["FILE"] };
      return op("registry.restore", dry(given, made), "fields");
    },
  },
  {
    name: "data check",
    does: "look for faults of RayOS Data; changes nothing",
    asks: () => op("data.check", {}, "fields"),
  },
  {
    name: "data repair",
    does: "let e2fsck mend all it finds; save a copy of the disk first",
    changes: true,
    asks: (given) => op("data.repair", dry(given), "fields"),
  },
  {
    name: "data mount",
    args: [{ name: "SOURCE", kind: "source", optional: true }],
    does: "try again to use RayOS Data, or another disk",
    changes: true,
    asks: (given) => {
      const { SOURCE } = given.words;
      return op("data.mount", dry(given, SOURCE === undefined ? {} : { source: SOURCE }), "fields");
    },
  },
  {
    name: "set-aside list",
    does: "what the host did not use and kept",
    asks: () => op("aside.list", {}, "fields"),
  },
  {
    name: "set-aside restore",
    args: [{ name: "PATH", kind: "aside" }],
    does: "put a registry of these back",
    changes: true,
    asks: (given) => op("aside.restore", dry(given, { path: given.words["PATH"] }), "fields"),
  },
  {
    name: "serial accept",
    does: "count the policy that is there as the last one accepted",
    changes: true,
    asks: (given) => op("serial.accept", dry(given), "fields"),
  },
  {
    name: "network",
    does: "the uplinks, and which guest has a network now",
    asks: () => op("status", {}, "network"),
  },
  {
    name: "shell",
    does: "a root shell; developer images with rayos.dev=1 alone",
    changes: true,
    asks: (given) => op("recovery.shell", dry(given), "fields"),
  },
  {
    name: "unlock",
    does: "give the recovery passphrase, to change things",
    asks: (given) => own("unlock", given),
  },
  { name: "lock", does: "only look from here on", asks: (given) => own("lock", given) },
  {
    name: "terminal",
    args: [{ name: "KIND", kind: "terminal" }],
    does: "what this terminal knows: dumb (nothing) or vt",
    asks: (given) => own("terminal", given, given.words["KIND"]),
  },
  {
    name: "retry",
    does: "start the boot again from the disk on",
    asks: (given) => own("retry", given),
  },
  {
    name: "exit",
    does: "leave the shell on the screen; so does Ctrl-D",
    asks: (given) => own("exit", given),
  },
  {
    name: "reboot",
    does: "restart the machine",
    changes: true,
    asks: (given) => op("power.reboot", dry(given), "fields"),
  },
  {
    name: "poweroff",
    does: "switch the machine off",
    changes: true,
    asks: (given) => op("power.off", dry(given), "fields"),
  },
  {
    name: "help",
    args: [{ name: "COMMAND", kind: "command", optional: true }],
    does: "this list, or one command",
    asks: (given) => own("help", given, given.words["COMMAND"]),
  },
];

/** How a command is called. */
export function usageOf({ name, args = [], flags = [], changes }: ShellCommand): string {
  const words = args.map((one) => one.optional ? `[${one.name}]` : one.name);
  const more = [...flags, ...changes ? ["--dry-run"] : []].map((flag) => `[${flag}]`);
  return [name, ...words, ...more].join(" ");
}
