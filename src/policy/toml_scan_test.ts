import assert from "node:assert/strict";
import { placeOf, scanToml } from "./toml_scan.ts";

const scan = (text: string) => scanToml(new TextEncoder().encode(text));

/** `rule line:column found` of the fault, or null. */
function fault(text: string): string | null {
  const found = scan(text);
  return found.ok
    ? null
    : `${found.issue.rule} ${found.issue.line}:${found.issue.column} ${found.issue.found}`;
}

/** How many keys were left out, and what was kept; null where all of it may be parsed. */
function excess(text: string): { keys: number; kept: string } | null {
  const found = scan(text);
  assert(found.ok);
  return found.excess === null ? null : { keys: found.excess.keys, kept: found.text };
}

Deno.test("scanToml hands over the text as it stands", () => {
  for (
    const text of ["", "a = 1\r\nb = '''\n[[[\n'''\n", "# é [ { = . \n", 'a = \'\\\'\nb = "\\""']
  ) {
    assert.deepEqual(scan(text), { ok: true, text, excess: null });
  }
});

Deno.test("placeOf counts lines and characters from 1, empty lines too", () => {
  assert.deepEqual(placeOf("", 0), { line: 1, column: 1 });
  assert.deepEqual(placeOf("ab\ncd", 1), { line: 1, column: 2 });
  assert.deepEqual(placeOf("ab\ncd", 2), { line: 1, column: 3 });
  assert.deepEqual(placeOf("ab\ncd", 3), { line: 2, column: 1 });
  assert.deepEqual(placeOf("\n\n\nx", 3), { line: 4, column: 1 });
});

Deno.test("scanToml takes nesting of 16, and finds the place of the seventeenth", () => {
  assert.equal(fault("[".repeat(16) + "]".repeat(16)), null);
  assert.equal(fault("[".repeat(17)), "toml.depth 1:17 a deeper one");
  assert.equal(fault("{".repeat(17)), "toml.depth 1:17 a deeper one");
  assert.equal(fault(`${"[]".repeat(20)}${"{}".repeat(20)}`), null, "closed ones do not count");
  assert.equal(fault("]}".repeat(9) + "[".repeat(16)), null, "nor do those that open nothing");
  assert.equal(fault("]" + "[".repeat(17)), "toml.depth 1:18 a deeper one");
  assert.equal(fault(`[[]${"[".repeat(16)}`), "toml.depth 1:19 a deeper one", "one closes one");
  const inside = "[{".repeat(20);
  for (
    const text of [
      `"${inside}"`,
      `'${inside}'`,
      `"""\n${inside}"""`,
      `'''${inside}'''`,
      `#${inside}`,
    ]
  ) {
    assert.equal(fault(text), null, text);
  }
});

Deno.test("scanToml takes 64 dots in each line, and finds the place of the next", () => {
  const most = "a.".repeat(64);
  assert.equal(fault(`${most}\n${most}\n${most}`), null);
  assert.equal(fault(`\n${most}.`), "toml.depth 2:129 more");
  assert.equal(fault(`${most}'\n${most}`), null, "a string that does not end ends with its line");
  assert.equal(fault(`'${most}.' "${most}." # ${most}.`), null);
});

Deno.test("scanToml takes strings of 8192 characters with their quotes, and no longer", () => {
  const of = (quotes: string, length: number) =>
    `a = ${quotes}${"x".repeat(length - 2 * quotes.length)}${quotes}`;
  for (const quotes of ['"', "'", '"""', "'''"]) {
    assert.equal(fault(of(quotes, 8192)), null, quotes);
    assert.equal(fault(of(quotes, 8193)), "toml.length 1:5 8193 characters", quotes);
  }
  assert.equal(fault(`a = "${'\\"'.repeat(4095)}"`), null);
  assert.equal(fault(`a = "${'\\"'.repeat(4096)}"`), "toml.length 1:5 8194 characters");
});

Deno.test("scanToml knows where each kind of string ends", () => {
  // A lone CR is a fault outside strings and in them, so its place tells nothing; a bracket's depth does.
  const deep = "[".repeat(17);
  const ends = [
    '"a"',
    "'a'",
    '"\\""',
    "'\\'",
    '""',
    "''",
    '"""a"""',
    '""""""',
    '"""a""\\""""',
    '"""a"""""',
    '"""a""""',
    "'''a'''''",
    "'''\\'''",
    '"""\n"\n""\n"""',
    "'''\n'\n''\n'''",
    '"never closed\n',
    "'never closed\n",
  ];
  for (const text of ends) {
    assert.match(fault(text + deep) ?? "", /^toml\.depth/, JSON.stringify(text));
    assert.equal(fault(`${text}\n`), null, JSON.stringify(text));
  }
  for (
    const open of [
      '"a',
      "'a",
      '"\\"',
      '"""a',
      '""""',
      "''''",
      '"""a""',
      '"""a\\"""',
      "'''a",
      "'''a''",
      '"""a"""""' + '"',
    ]
  ) {
    assert.equal(fault(open + deep), null, `${JSON.stringify(open)} goes on`);
  }
});

Deno.test("scanToml finds a NUL and a CR alone wherever they stand", () => {
  assert.equal(fault("\0"), "toml.nul 1:1 a NUL byte");
  assert.equal(fault("\r"), "toml.cr 1:1 a CR alone");
  assert.equal(fault("a\r"), "toml.cr 1:2 a CR alone");
  assert.equal(fault("# a\0"), "toml.nul 1:4 a NUL byte");
  assert.equal(fault("# a\r"), "toml.cr 1:4 a CR alone");
  assert.equal(fault("'a\0'"), "toml.nul 1:3 a NUL byte");
  assert.equal(fault("'a\r'"), "toml.cr 1:3 a CR alone");
  assert.equal(fault('"""\r\na\r"""'), "toml.cr 2:2 a CR alone");
  assert.equal(fault("# a\r\n'''\r\n'''\r\n"), null);
});

Deno.test("scanToml says what cannot be parsed, what could, and what to do", () => {
  const full = (bytes: Uint8Array) => {
    const found = scanToml(bytes);
    assert(!found.ok);
    return [found.issue.line, found.issue.column, found.issue.expected, found.issue.hint];
  };
  const of = (text: string) => full(new TextEncoder().encode(text));
  const bad = (...bytes: number[]) => full(Uint8Array.from(bytes)).slice(0, 2);
  assert.deepEqual(full(Uint8Array.from([0x61, 0x0a, 0x0a, 0xff])), [
    3,
    1,
    "UTF-8",
    "save the file as UTF-8 and sign it again",
  ]);
  assert.deepEqual(bad(0xff), [1, 1]);
  assert.deepEqual(bad(0x0a, 0xc3, 0x0a, 0xa9), [2, 1]);
  assert.deepEqual(bad(0xc3), [1, 1]);
  assert.deepEqual(of("[".repeat(17))[2], "nesting of at most 16");
  assert.deepEqual(of(".".repeat(65))[2], "at most 64 dots in a line");
  assert.deepEqual(of(`'${"x".repeat(9000)}'`)[2], "a string of at most 8192 characters");
});

Deno.test("scanToml lets as much of each thing be parsed as its memory allows, and no more", () => {
  // 54,000 KiB in all, by what one of them was measured to take.
  const most: [string, number][] = [
    ["=", 6750],
    ["[]", 9000],
    ["{}", 13_500],
    [",", 13_500],
    [".", 27_000],
    ["#", 108_000],
  ];
  for (const [text, count] of most) {
    const lines = `x${text}\n`;
    assert.equal(excess(lines.repeat(count)), null, text);
    const above = excess(lines.repeat(count + 1));
    assert.equal(above?.kept, lines.repeat(count), text);
    assert.equal(above.keys, text === "=" ? 1 : 0, text);
  }
  assert.equal(excess(`"${"=".repeat(8000)}"`), null, "a string's inside is free");
});

Deno.test("scanToml keeps whole lines outside lists, counts the keys that nobody looks at", () => {
  const list = `l = [\n${"{ a = 1, b = 2 },\n".repeat(3000)}]\n`;
  assert.deepEqual(excess(`one = 1\n${list}two = 2\n`), { keys: 6002, kept: "one = 1\n" });
  const line = `l = [${"{a=1},".repeat(6000)}]`;
  assert.deepEqual(excess(line), { keys: 6001, kept: "" });
  const found = scan(`one = 1\n${line}`);
  assert(found.ok);
  assert.deepEqual(found.excess?.issue, {
    rule: "toml.size",
    path: "",
    line: 2,
    column: 1,
    expected: "at most 6750 keys with their values, or as much of anything else",
    found: "6002 keys",
    hint: "no policy needs so many; only those before this place were looked at",
    severity: "error",
  });
});
