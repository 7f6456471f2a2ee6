/**
 * What each operation can be asked with: the names and types of its arguments, checked before anything is
 * decided or done, so that a word that nobody knows is refused and not left out. What a value must be beyond
 * its type is the operation's own matter. Data and one pure function.
 */

import * as v from "valibot";
import { type Op, OPS, rowOf } from "../policy/ops.ts";

/** As long as any path can be. */
const MOST_CHARACTERS = 4_096;
const text = v.optional(v.pipe(v.string(), v.maxLength(MOST_CHARACTERS)));
/** As long as a request can be. */
const file = v.optional(v.string());
const number = v.optional(v.number());
const flag = v.optional(v.boolean());

type Fields = Readonly<Record<string, v.GenericSchema>>;

/** Those that take more than a guest's name and `dry_run`. */
const MORE: { readonly [O in Op]?: Fields | readonly Fields[] } = {
  "vm.define": { profile: text, name: text, vcpus: number, memory_mib: number },
  "vm.log": { lines: number },
  "vm.console": { read_only: flag },
  "vm.clone": { to: text },
  "vm.restore": { backup: number },
  "disk.info": { disk: text },
  "disk.create": { disk: text, bytes: number },
  "disk.import": { file: text, disk: text, from: text },
  "disk.export": { disk: text, file: text },
  "disk.resize": { disk: text, bytes: number },
  "share.attach": { tag: text },
  "share.detach": { tag: text },
  "input.key": { keys: v.optional(v.array(v.string())), act: text },
  "input.text": { text },
  // One or the other.
  "input.pointer": [{ x: number, y: number }, { button: text, act: text }],
  "input.accept": { event: text },
  "logs.tail": { lines: number, follow: flag },
  "audit.verify": { head: text },
  "audit.show": { vm: text, since: text, rule: text, limit: number, head: flag },
  "crash.show": { boot: text, n: number },
  "policy.check": { file: text },
  "policy.explain": { subject: text },
  "policy.install": { file: text, policy: file, signature: file },
  "registry.check": { file: text },
  "registry.restore": { file: text, from_policy: flag },
  "data.mount": { source: text },
  "aside.restore": { path: text },
  "recovery.unlock": { passphrase: v.optional(v.instance(Uint8Array)) },
  "boot.next": { entry: text },
};

/** For each operation every form that its arguments can have. */
const FORMS: ReadonlyMap<string, readonly v.GenericSchema[]> = new Map(
  OPS.map((op) => {
    const common: Fields = {
      dry_run: flag,
      ...rowOf(op)?.needs.includes("named") ? { vm: text } : {},
    };
    return [op, [MORE[op] ?? {}].flat().map((more) => v.strictObject({ ...common, ...more }))];
  }),
);

/** What is wrong with the arguments of an operation; null: nothing, or there is no such operation. */
export function whyNotArguments(op: string, args: unknown): string | null {
  const issues = (FORMS.get(op) ?? []).map((form) => v.safeParse(form, args).issues?.[0] ?? null);
  const [first = null] = issues;
  if (first === null || issues.includes(null)) return null;
  if (first.expected === "never") return "args: expected no other fields than the operation has";
  return `${v.getDotPath(first) ?? "args"}: expected ${first.expected ?? "another form"}`;
}
