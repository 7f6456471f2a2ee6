// deno-lint-ignore-file no-control-regex -- control characters are what this is about
import assert from "node:assert/strict";
import fc from "fast-check";
import { ESCAPES, MODES, SEQUENCES, TerminalFilter } from "./terminal_filter.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const filtered = (input: string | Uint8Array) =>
  new TextDecoder("utf-8", { fatal: true }).decode(
    new TerminalFilter().take(typeof input === "string" ? bytesOf(input) : input),
  );
const latin1 = (text: string) => Uint8Array.from(text, (one) => one.charCodeAt(0));

Deno.test("TerminalFilter passes text, and what moves the cursor, colours or erases", () => {
  for (
    const same of [
      "login: \r\n\tpassword\b \b",
      "grüße, 世界 🙂",
      "\x1b[1;31mred\x1b[0m \x1b[38:2::255:0:0mtrue\x1b[m",
      "\x1b[H\x1b[2J\x1b[10;20Hx\x1b[K\x1b[5A\x1b[?25l\x1b[?25h",
      "\x1b[?1049h\x1b[1;24r\x1b7\x1b8\x1bM\x1b[?1049l",
    ]
  ) assert.equal(filtered(same), same);
});

/** What must not get through, and what is left of it. */
const HARMFUL: readonly [what: string, input: string | Uint8Array, left: string][] = [
  ["the bell", "a\x07b", "ab"],
  ["NUL, VT, FF, DEL, shifts", "a\0\v\f\x7f\x0e\x0fb", "ab"],
  ["a title (OSC, ended by BEL)", "a\x1b]0;title\x07b", "ab"],
  ["a title (OSC, ended by ST)", "a\x1b]2;title\x1b\\b", "ab"],
  ["the clipboard (OSC 52)", "\x1b]52;c;Zm9v\x07x", "x"],
  ["a link (OSC 8)", "\x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\", "here"],
  ["DCS with a question", "a\x1bP$qm\x1b\\b", "ab"],
  ["APC, PM, SOS", "\x1b_a\x1b\\\x1b^b\x1b\\\x1bXc\x1b\\x", "x"],
  ["what are you (DA 1, 2, 3)", "\x1b[c\x1b[0c\x1b[>c\x1b[=cx", "x"],
  ["who are you (DECID)", "\x1bZx", "x"],
  ["where is the cursor (DSR)", "\x1b[6n\x1b[5n\x1b[?6nx", "x"],
  ["settings (DECRQM, DECREQTPARM)", "\x1b[?25$p\x1b[xz", "z"],
  ["window operations", "\x1b[21t\x1b[8;1;1tx", "x"],
  ["media copy", "\x1b[5i\x1b[?5ix", "x"],
  ["reset (RIS, DECSTR)", "\x1bc\x1b[!px", "x"],
  ["another character set", "\x1b(0\x1b)B\x1b%G\x1b#8x", "x"],
  ["mouse, focus, paste", "\x1b[?1000h\x1b[?1006h\x1b[?1004h\x1b[?2004hx", "x"],
  ["keyboard protocols", "\x1b[>4;2m\x1b[>1u\x1b[=1;1u\x1b=\x1b>x", "x"],
  ["only the modes that may", "\x1b[?12;25h\x1b[?1000;1049l", "\x1b[?25h\x1b[?1049l"],
  ["the kept lines", "\x1b[3Jx", "x"],
  ["tab stops, tab clear", "\x1bH\x1b[3gx", "x"],
  ["repeat without end", "\x1b[99999999bx", "x"],
  ["numbers that are too large", "\x1b[99999Ax\x1b[9999;12345H", "x"],
  ["a sequence that is too long", `\x1b[${"1;".repeat(99)}mx`, "x"],
  ["C1 as UTF-8", "a\u009b31mb\u0090c", "a\ufffd31mb\ufffdc"],
  ["C1 as bytes", latin1("a\x9b6nb"), "a\ufffd6nb"],
  [
    "invalid UTF-8",
    latin1("a\xffb\xc3(\xed\xa0\x80\xf5\xc0\xaf"),
    "a\ufffdb\ufffd(" + "\ufffd".repeat(6),
  ],
  ["what reorders text", "a\u202eb\u2066c\u200bd\ufeff", "a\ufffdb\ufffdc\ufffdd\ufffd"],
  ["an escape in an escape", "\x1b\x1b[\x1b[6nx", "x"],
  ["a control character in a sequence", "\x1b[3\r1mx", "\r1mx"],
  ["a cancelled string", "\x1b]0;a\x18b", "b"],
];
for (const [what, input, left] of HARMFUL) {
  Deno.test(`TerminalFilter leaves out ${what}`, () => assert.equal(filtered(input), left));
}

Deno.test("TerminalFilter goes on with text after a string that nobody ends", () => {
  assert.match(filtered(`\x1b]0;${"x".repeat(10_000)} and then`), / and then$/);
});

/** Bytes that come close to sequences. */
const nasty = fc.array(
  fc.oneof(
    fc.constantFrom(
      ...["\x1b", "\x1b[", "\x1b[?", "\x1b]", "\x1bP", "\x1b\\", "\x07", "\x18", "\x1b(", "\x9b"],
      ...[
        "0",
        ";",
        ":",
        "25",
        "1049",
        "2004",
        "h",
        "l",
        "m",
        "n",
        "c",
        "t",
        "H",
        "r",
        "q",
        " ",
        "$",
      ],
    ).map(latin1),
    fc.uint8Array({ maxLength: 6 }),
    fc.string({ unit: "binary", maxLength: 4 }).map(bytesOf),
  ),
  { maxLength: 40 },
).map((pieces) => Uint8Array.from(pieces.flatMap((one) => [...one])));

const ALLOWED = /^(?:[^\x1b]|\x1b[78DEM]|\x1b\[[0-9;:?]*[A-Za-z`@])*$/u;

Deno.test("TerminalFilter gives UTF-8 with no escape but those of its lists, whatever comes", () => {
  fc.assert(
    fc.property(nasty, (bytes) => {
      const text = filtered(bytes);
      assert.match(text, ALLOWED);
      for (const [, escape] of text.matchAll(/\x1b([^[])/gu)) {
        assert.ok(Object.hasOwn(ESCAPES, escape ?? ""));
      }
      for (const [, parameters = "", last = ""] of text.matchAll(/\x1b\[([^A-Za-z`@]*)(.)/gu)) {
        if (last === "h" || last === "l") {
          const kind = parameters.startsWith("?") ? "?" : "";
          for (const mode of parameters.slice(kind.length).split(";")) {
            assert.ok(Object.hasOwn(MODES, kind + mode), kind + mode);
          }
        } else assert.match(parameters, SEQUENCES[last]?.form ?? /^never$/);
      }
      assert.doesNotMatch(text, /[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e]/u);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("TerminalFilter gives the same however the bytes are split, and after them the same reset", () => {
  fc.assert(
    fc.property(nasty, fc.array(fc.nat({ max: 60 })), (bytes, cuts) => {
      const whole = new TerminalFilter();
      const split = new TerminalFilter();
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const pieces = places.slice(1).flatMap((
        to,
        n,
      ) => [...split.take(bytes.subarray(places[n], to))]);
      assert.deepEqual(Uint8Array.from(pieces), whole.take(bytes));
      assert.equal(split.reset(), whole.reset());
    }),
    { numRuns: 3000 },
  );
});

Deno.test("TerminalFilter takes its own output as it is", () => {
  fc.assert(
    fc.property(nasty, (bytes) => {
      const once = new TerminalFilter().take(bytes);
      assert.deepEqual(new TerminalFilter().take(once), once);
    }),
  );
});

Deno.test("TerminalFilter resets what was changed, and nothing else", () => {
  const resetAfter = (text: string) => {
    const filter = new TerminalFilter();
    filter.take(bytesOf(text));
    return filter.reset();
  };
  assert.equal(resetAfter("plain"), "\x1b[0m\x1b[?25h");
  assert.equal(resetAfter("\x1b[?1049h\x1b[?1049l\x1b[?7l\x1b[?7h"), "\x1b[0m\x1b[?25h");
  assert.equal(
    resetAfter("\x1b[?1049h\x1b[?7l\x1b[2;5r\x1b[?25l\x1b[4h"),
    "\x1b[0m\x1b7\x1b[r\x1b8\x1b[?7h\x1b[4l\x1b[?1049l\x1b[?25h",
  );
});
