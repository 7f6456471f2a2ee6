/**
 * Runs test files one after another in this process and ends with 1 at the first test that fails:
 * what a mutant needs, without the time that a whole test run takes. `tools/rayos deno run tools/mutation_tests.ts
 * FILE… [-- NAME-PATTERN]`.
 */
import path from "node:path";
import { FAILED } from "./mutation_points.ts";

interface Named {
  readonly name: string;
  readonly ignore?: boolean;
  readonly fn: () => unknown;
}

const tests: Named[] = [];
const collect = (first: string | Named, fn?: () => unknown) => {
  tests.push(typeof first === "string" ? { name: first, fn: fn ?? (() => {}) } : first);
};
Object.defineProperty(Deno, "test", { value: collect });

const split = Deno.args.indexOf("--");
const files = split === -1 ? Deno.args : Deno.args.slice(0, split);
const skip = split === -1 ? null : new RegExp(Deno.args[split + 1] ?? "^$");

for (const file of files) {
  tests.length = 0;
  await import(path.resolve(file));
  for (const test of tests) {
    if (test.ignore || skip?.test(test.name)) continue;
    try {
      await test.fn();
      // Whoever waits for this run sees that it goes on.
      console.log("ok");
    } catch {
      console.log(`${FAILED}${file}: ${test.name}`);
      Deno.exit(1);
    }
  }
}
Deno.exit(0);
