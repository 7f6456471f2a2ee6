/**
 * What lists of system calls are written with, and the calls that every jail's first program makes before
 * it is the program that the jail is for. Data alone.
 */

import type { AllowedCall, ArgumentTest } from "./filter.ts";

export const AF_UNIX = 1;

/** A test for each value that the argument may have. */
export const any = (
  argument: ArgumentTest["argument"],
  values: readonly number[],
): ArgumentTest[] => values.map((equals) => ({ argument, equals }));

/** Calls that are allowed whatever their arguments. */
export const plain = (why: string, names: string): AllowedCall[] =>
  names.split(" ").map((name) => ({ name, why }));

/** The same for what no recording shows. */
export const rare = (why: string, names: string): AllowedCall[] =>
  plain(why, names).map((call) => ({ ...call, rare: true }));

/** What setpriv(1) calls on its way to that program. */
export const setprivCalls = (program: string): AllowedCall[] => [
  // Until the program's own filter is there, which takes execve and the set*id calls away again.
  ...plain(`setpriv starts ${program}`, "execve"),
  ...plain("setpriv takes the guest's ids", "setresuid setresgid setgroups"),
  ...plain("setpriv and libcap-ng drop capabilities", "capget capset"),
  ...plain("setpriv looks whether it must change ids", "getresuid getresgid"),
  ...plain(`${program}'s own filter, which can only take more away`, "seccomp"),
];
