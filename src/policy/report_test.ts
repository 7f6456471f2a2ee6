import assert from "node:assert/strict";
import { type Issue, issue } from "../issue.ts";
import { capped, checkPolicy, MAX_ISSUES, readOnDesk } from "./parse.ts";
import { MAX_POLICY_BYTES } from "./signature.ts";
import { faults, parse, V } from "./testdata/parse_text.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const places = (issues: readonly Issue[]) =>
  issues.map((one) => `${one.severity} ${one.rule} ${one.line}:${one.column}`);

Deno.test("a report has errors first, then warnings, then notes, each in the order of the text", () => {
  const hash = `$scrypt$ln=22,r=8,p=1$${"a".repeat(22)}$${"b".repeat(43)}`;
  const issues = checkPolicy(
    bytes(`${V}[logging]\ninput = "redacted"\n[recovery]\npassphrase = '${hash}'\n`),
  );
  assert.deepEqual(places(issues), [
    "warning serial.none null:null",
    "note note.not_yet 3:9",
    "note note.not_yet 5:14",
  ]);
  const one = checkPolicy(bytes(`${V}a = { z = 1 }\nlimits = { c = 1, b = 2, vms = 0 }\nb = 1\n`));
  assert.deepEqual(places(one), [
    "error schema.unknown_key 2:1",
    "error schema.unknown_key 3:12",
    "error schema.unknown_key 3:19",
    "error schema.range 3:32",
    "error schema.unknown_key 4:1",
  ]);
});

Deno.test("a report of as many findings as fit has no count, and of one more has", () => {
  const unknown = (count: number) =>
    checkPolicy(bytes(V + Array.from({ length: count }, (_, n) => `k${n} = 0\n`).join("")));
  assert.equal(unknown(MAX_ISSUES).length, MAX_ISSUES);
  assert(unknown(MAX_ISSUES).every((one) => one.rule === "schema.unknown_key"));
  const more = unknown(MAX_ISSUES + 1);
  assert.deepEqual([more.length, more.at(-1)?.rule, more.at(-1)?.found, more.at(-1)?.severity], [
    MAX_ISSUES + 1,
    "schema.more",
    "1 more",
    "error",
  ]);
  assert.equal(more.at(-2)?.line, MAX_ISSUES + 1);
});

const notes = (count: number) =>
  Array.from(
    { length: count },
    () => issue("note.x", { expected: "a", found: "b", severity: "note" }),
  );

Deno.test("a report of notes alone is cut by a note", () => {
  const issues = capped(notes(128));
  assert.equal(issues.length, MAX_ISSUES + 1);
  assert.deepEqual([issues.at(-1)?.found, issues.at(-1)?.severity], ["28 more", "note"]);
});

Deno.test("readOnDesk of what is no policy says so, and counts nothing", () => {
  const read = (content: Uint8Array) => {
    const found = readOnDesk(content);
    assert(found.policy === null);
    return [found.issues.map((one) => one.rule), found.more];
  };
  assert.deepEqual(read(new Uint8Array()), [["policy.empty"], 0]);
  assert.deepEqual(read(new Uint8Array(MAX_POLICY_BYTES + 1)), [["policy.size"], 0]);
  assert.deepEqual(read(bytes("a = ")), [["toml.syntax"], 0]);
  assert.deepEqual(read(bytes("version = 7")), [["meaning.version"], 0]);
  assert.deepEqual(read(bytes(V + "[linux]\nenabled = true\n")), [["meaning.vm_id_missing"], 0]);
});

Deno.test("a NUL is found wherever a string may stand, and nowhere else", () => {
  assert.deepEqual(faults(`${V}hosts = ["a", "b\\u0000"]\n`).filter((one) => /nul/.test(one)), [
    "schema.nul hosts[1] 2:15",
  ]);
  assert.deepEqual(
    faults(`${V}linux = { boot = { cmdline = "\\u0000" } }\nserial = 1979-05-27\n`).filter((one) =>
      /nul/.test(one)
    ),
    ["schema.nul linux.boot.cmdline 2:30"],
  );
});

Deno.test("a policy for other hosts says which host this is, and the first eight of theirs", () => {
  const hosts = Array.from({ length: 9 }, (_, n) => `"h${n}"`).join(", ");
  const of = (hostName: string | null) =>
    parse(`${V}hosts = [${hosts}]\n`, { hostName, minSerial: 0, remembered: null }).issues
      .filter((one) => one.rule === "meaning.hosts").map((one) => [one.expected, one.found])[0];
  assert.deepEqual(of(null), ["a policy for any host", "h0, h1, h2, h3, h4, h5, h6, h7"]);
  assert.equal(of("desk")?.[0], "this host, desk");
  assert.equal(of("H8"), undefined);
});

Deno.test("a report has the error that refuses a policy before the warnings and notes beside it", () => {
  const { issues } = parse(`${V}logging.input = "redacted"\nhosts = ["elsewhere"]\n`);
  assert.deepEqual(places(issues), [
    "error meaning.hosts 3:9",
    "warning serial.none null:null",
    "note note.not_yet 2:17",
  ]);
});

Deno.test("a report that is cut below a single error still denies in its last line", () => {
  const issues = capped([...notes(128), issue("meaning.hosts", { expected: "a", found: "b" })]);
  assert.deepEqual([issues[0]?.rule, issues.at(-1)?.rule], ["meaning.hosts", "schema.more"]);
  assert.deepEqual([issues.at(-1)?.found, issues.at(-1)?.severity], ["29 more", "error"]);
});

Deno.test("readOnDesk cuts the report of what is no policy", () => {
  const unknown = Array.from({ length: 150 }, (_, n) => `k${n} = 0\n`).join("");
  const refused = readOnDesk(bytes(V + unknown));
  assert.equal(refused.policy, null);
  assert.equal(refused.issues.length, MAX_ISSUES + 1);
  assert.deepEqual([refused.issues.at(-1)?.rule, refused.issues.at(-1)?.found], [
    "schema.more",
    "50 more",
  ]);
});

Deno.test("a report is full of NULs after one more than fit, and looks for no others", () => {
  const nuls = (count: number) =>
    checkPolicy(bytes(`${V}k = [${'"\\u0000", '.repeat(count)}]\n`)).at(-1)?.found;
  assert.equal(nuls(MAX_ISSUES), "1 more", "the unknown key");
  assert.equal(nuls(MAX_ISSUES + 1), "2 more");
  assert.equal(nuls(MAX_ISSUES + 50), "2 more");
});
