import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeScreen } from "./fake_screen.ts";
import { LineEditor } from "./line_editor.ts";
import { TextGrid } from "./text_grid.ts";

function grid(columns = 20, lines = 5, ...texts: string[]): TextGrid {
  const made = new TextGrid(columns, lines);
  for (const one of texts) made.put(one);
  return made;
}

Deno.test("TextGrid shows every sequence but the shell's own as text, and moves by none of them", () => {
  for (
    const evil of [
      "\x1b[1A",
      "\x1b[31m",
      "\x1b]0;title\x07",
      "\x1bc",
      "\x9b2J",
      "\b\b",
      "\x1b[3J",
      "\x1b[?2004x",
      "\x1b[",
      "\x1b",
      "\u202e",
      "\t",
      "\0",
    ]
  ) {
    const shown = grid(60, 5, "before\n", evil, "after");
    assert.match(shown.text, /^before\n\S*after$/u);
    assert.ok(shown.text.includes("\\u"), JSON.stringify(evil));
    assert.doesNotMatch(shown.text.replaceAll("\n", ""), /[\p{Cc}\p{Cf}]/u);
  }
});

Deno.test("TextGrid scrolls, keeps what went out of it, and is looked at page by page", () => {
  const shown = grid(20, 5, ...Array.from({ length: 12 }, (_, n) => `line ${n}\n`), "> ");
  assert.equal(shown.text, "line 8\nline 9\nline 10\nline 11\n>");
  assert.deepEqual(shown.cursor, { column: 2, line: 4 });
  shown.look("page_up");
  assert.equal(shown.text, "line 4\nline 5\nline 6\nline 7\nline 8");
  assert.equal(shown.cursor, null);
  for (let n = 0; n < 9; n++) shown.look("page_up");
  assert.match(shown.text, /^line 0\n/u);
  shown.look("page_down");
  shown.put("x");
  assert.match(shown.text, /\n> x$/u, "what is typed is seen");
  shown.look("page_down");
  assert.match(shown.text, /\n> x$/u);
});

Deno.test("TextGrid keeps a bounded number of rows", () => {
  const shown = grid(20, 5);
  for (let n = 0; n < 3_000; n++) shown.put(`line ${n}\n`);
  for (let n = 0; n < 3_000; n++) shown.look("page_up");
  assert.match(shown.text, /^line 2001\n/u);
});

Deno.test("TextGrid goes on in the next row where one is full, and keeps a wide character whole", () => {
  assert.equal(grid(10, 5, "0123456789ab").text, "0123456789\nab");
  assert.equal(grid(10, 5, "012345678日x").text, "012345678\n日 x");
  assert.equal(grid(10, 5, "a\u0301b").text, "ab");
  assert.deepEqual(grid(10, 5, "0123456789").cursor, { column: 9, line: 0 });
});

Deno.test("TextGrid begins a new page where the shell clears its screen, with what was typed", () => {
  const shown = grid(20, 5, "one\ntwo\n> abc", "\x1b[H\x1b[2J\r> abc\x1b[K");
  assert.equal(shown.text, "> abc");
  assert.deepEqual(shown.cursor, { column: 5, line: 0 });
  shown.look("page_up");
  assert.match(shown.text, /^one\ntwo\n> abc\n/u);
});

Deno.test("TextGrid shows what any typing makes of a line as a terminal does", () => {
  const keys = fc.constantFrom(
    ...[
      "a",
      "bc",
      " ",
      "\x7f",
      "\x1b[D",
      "\x1b[C",
      "\x01",
      "\x05",
      "\x15",
      "\x17",
      "\r",
      "\t",
      "\x03",
    ],
    "\x0b",
    "\x1b[A",
  );
  fc.assert(
    fc.property(fc.array(keys, { maxLength: 60 }), (typed) => {
      const screen = { columns: 30, plain: false };
      const editor = new LineEditor({
        screen,
        complete: () => ({ begun: "", words: ["alpha", "beta"] }),
      });
      const terminal = new FakeScreen(30, false);
      const shown = new TextGrid(30, 100);
      const say = (text: string) => (terminal.write(text), shown.put(text));
      say(editor.begin("rayos> "));
      for (const one of typed) {
        editor.feed(new TextEncoder().encode(one));
        for (;;) {
          const { out, edited } = editor.next();
          say(out);
          if (edited === null) break;
          say(editor.begin("rayos> "));
        }
      }
      assert.equal(shown.text.trimEnd(), terminal.text.trimEnd());
      assert.equal(shown.cursor?.column, terminal.column);
    }),
    { numRuns: 500 },
  );
});
