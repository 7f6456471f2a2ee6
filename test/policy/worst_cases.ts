/**
 * The costliest documents that still fit into the limits, for the tests of time and memory and for the
 * benchmark. Never part of the program.
 */
import { MAX_POLICY_BYTES } from "../../src/policy/signature.ts";

const MAX = MAX_POLICY_BYTES;

/** As often as it fits behind the head. */
function filled(head: string, unit: (n: number) => string): string {
  const parts = [head];
  let length = head.length;
  for (let n = 0;; n++) {
    const next = unit(n);
    if (length + next.length > MAX) return parts.join("");
    parts.push(next);
    length += next.length;
  }
}

const HEAD = "version = 0\n";

/** By name. Each is at most as large as a policy may be. */
export const WORST: Readonly<Record<string, () => string>> = {
  "nested lists": () => `${HEAD}x = ${"[".repeat(MAX - 100)}`,
  "nested lists, each within the limit": () =>
    filled(HEAD, (n) => `x${n} = ${"[".repeat(15)}${"]".repeat(15)}\n`),
  "nested inline tables": () => `${HEAD}x = ${"{a=".repeat(80_000)}`,
  "unknown keys": () => filled(HEAD, (n) => `k${n}=0\n`),
  "unknown tables": () => filled(HEAD, (n) => `[t${n}]\n`),
  "unknown keys near known ones": () => filled(`${HEAD}[linux]\n`, (n) => `enabeld${n}=0\n`),
  "dotted keys": () => filled(HEAD, (n) => `${"a.".repeat(30)}k${n}=0\n`),
  "one dotted key": () => `${HEAD}${"a.".repeat(MAX / 2 - 100)}a = 0\n`,
  "dotted headers": () => filled(HEAD, (n) => `[${"a.".repeat(30)}k${n}]\n`),
  "lists of tables": () => filled(HEAD, () => "[[linux.storage.shares]]\n"),
  "shares": () =>
    filled(`${HEAD}[linux]\n`, (n) => `[[linux.storage.shares]]\ntag="${n}"\npath="p/${n}"\n`),
  "profiles": () => filled(HEAD, (n) => `[profiles.p${n}]\nkind="linux"\nenabled=true\n`),
  "host names": () => `${filled(`${HEAD}hosts = [`, (n) => `"h${n}",`)}`.slice(0, MAX - 2) + "]",
  "host names in form": () =>
    `${HEAD}hosts = [${'"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",'.repeat(7000)}]`,
  "one long string": () => `${HEAD}x = "${"a".repeat(MAX - 100)}"`,
  "strings of escapes": () => filled(HEAD, (n) => `e${n}="${"\\u0041".repeat(1000)}"\n`),
  "multiline strings": () => filled(HEAD, (n) => `m${n}="""\n${"a\n".repeat(500)}"""\n`),
  "comments": () => filled(HEAD, () => "# a comment of some length\n"),
  "empty lines": () => filled(HEAD, () => "\n"),
  "dots": () => filled(HEAD, () => "."),
  "quotes": () => filled(HEAD, () => '"'),
  "big integers": () => filled(HEAD, (n) => `i${n}=${"9".repeat(200)}\n`),
  "dates": () => filled(HEAD, (n) => `d${n}=1979-05-27T07:32:00.999999Z\n`),
  "numbers with underscores": () => filled(HEAD, (n) => `u${n}=${"1_".repeat(400)}1\n`),
  "the least profile, as often as it may be": () =>
    `${HEAD}serial = 1\n${
      Array.from({ length: 64 }, (_, n) =>
        `[profiles.p${n}]\nkind = "linux"\nenabled = true\n${
          Array.from({ length: 16 }, (_, s) =>
            `[[profiles.p${n}.storage.shares]]\ntag = "t${s}"\npath = "vm/linux/{vm_id}/s${s}"\n`)
            .join("")
        }`).join("")
    }`,
};
