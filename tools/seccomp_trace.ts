/**
 * Reads what strace(1) wrote of a program in its jail, and says which of its calls a list allows. Pure.
 */
import { ANSWER, ARCH_X86_64, type CallList, seccompFilter } from "../src/seccomp/filter.ts";
import { SYSCALLS } from "../src/seccomp/syscall.ts";
import { answerOf } from "./bpf.ts";

/** One system call; arguments that strace shows as something else than a number are 0. */
export interface TracedCall {
  readonly name: string;
  readonly args: readonly bigint[];
}

/** What QEMU calls by the million: taken for used beforehand, and not traced. */
export const FREQUENT = ["futex", "ppoll", "read", "write", "clock_nanosleep", "epoll_wait"];

/** `strace` options that this reads, with calls that are not traced. */
export function straceOptions(untraced: readonly string[]): string[] {
  const chosen = ["--seccomp-bpf", "-e", `trace=!${untraced.join(",")}`];
  return ["-f", ...untraced.length === 0 ? [] : chosen, "-X", "raw", "-e", "signal=none"];
}

const LINE = /^(\d+) +([a-z][a-z0-9_]*)\((.*)$/;

/**
 * The calls from the first instruction of the program at that path on, of it and its threads; what the
 * tracer's own child and bubblewrap did before and beside it is left out.
 */
export function tracedCalls(text: string, program: string): TracedCall[] {
  const outside = new Set<string>();
  const calls: TracedCall[] = [];
  let began = false;
  for (const line of text.split("\n")) {
    const [, task = "", name = "", rest = ""] = LINE.exec(line) ?? [];
    if (name === "") continue;
    if (!began) {
      began = name === "execve" && rest.startsWith(`"${program}"`);
      if (began) outside.delete(task);
      else outside.add(task);
      if (!began) continue;
    }
    if (!outside.has(task)) calls.push({ name, args: argumentsOf(name, rest) });
  }
  return calls;
}

function argumentsOf(name: string, rest: string): bigint[] {
  // strace writes clone's arguments by name, and in an order of its own.
  if (name === "clone") {
    // The signal at a child's end is written behind the flags.
    const flags = /flags=([^,)]*)/.exec(rest)?.[1] ?? "";
    return [flags.split("|").reduce((all, flag) => all | numberOf(flag), 0n)];
  }
  return rest.replace(/["{[(].*$/, "").split(",").map(numberOf);
}

function numberOf(text: string): bigint {
  const digits = /^\s*(-?)(0x[0-9a-f]+|\d+)/.exec(text);
  if (digits === null) return 0n;
  const value = BigInt(digits[2] ?? "0");
  return BigInt.asUintN(64, digits[1] === "-" ? -value : value);
}

/** A call as a person reads it: its name, and what a test looks at. */
function wordsOf(list: CallList, { name, args }: TracedCall): string {
  const when = list.allowed.find((call) => call.name === name)?.when ?? [];
  const looked = [...new Set(when.map((test) => test.argument))];
  const shown = looked.map((n) => `argument ${n} = 0x${(args[n] ?? 0n).toString(16)}`);
  return [name, ...shown].join(", ");
}

/** What a recording says of a list. */
export interface Finding {
  /** Made, but not allowed and not listed as done without. */
  readonly lacking: readonly string[];
  /** Names that are allowed and were never called. */
  readonly unseen: readonly string[];
}

/**
 * Holds a recording against a list.
 *
 * @param untraced what was left out of the recording and is taken for seen
 */
export function compare(
  list: CallList,
  calls: readonly TracedCall[],
  untraced: readonly string[] = [],
): Finding {
  const filter = seccompFilter(list, "log");
  const lacking = new Set<string>();
  const seen = new Set(untraced);
  for (const call of calls) {
    const nr = SYSCALLS.get(call.name);
    const answer = nr === undefined
      ? ANSWER.log
      : answerOf(filter, { nr, arch: ARCH_X86_64, args: call.args });
    if (answer === ANSWER.log) lacking.add(wordsOf(list, call));
    else seen.add(call.name);
  }
  const unseen = list.allowed.map((call) => call.name).filter((name) => !seen.has(name));
  return { lacking: [...lacking].sort(), unseen };
}

/** Names in the kernel's log of calls that a filter answered with `log` (audit's type 1326). */
export function loggedCalls(log: string, commands: readonly string[]): string[] {
  const names = new Map([...SYSCALLS].map(([name, nr]) => [nr, name]));
  const found = new Set<string>();
  for (const line of log.split("\n")) {
    const nr = /type=1326 .* syscall=(\d+) /.exec(line)?.[1];
    const comm = /comm="([^"]*)"/.exec(line)?.[1] ?? "";
    // The kernel keeps 15 bytes of a command.
    if (nr !== undefined && commands.some((one) => one.slice(0, 15) === comm)) {
      found.add(names.get(Number(nr)) ?? `call ${nr}`);
    }
  }
  return [...found].sort();
}
