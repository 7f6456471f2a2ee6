import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeScreen } from "./fake_screen.ts";
import { type Edited, LineEditor, type Reading } from "./line_editor.ts";

const PROMPT = "rayos> ";
const bytes = (text: string) => new TextEncoder().encode(text);

/** A person at a screen. */
class Person {
  readonly screen: FakeScreen;
  readonly editor: LineEditor;
  readonly entered: Edited[] = [];

  constructor({ columns = 80, plain = false, words = [] as string[] } = {}) {
    this.screen = new FakeScreen(columns, plain);
    this.editor = new LineEditor({
      screen: { columns, plain },
      complete: (before) => {
        const begun = before.slice(before.lastIndexOf(" ") + 1);
        return { begun, words: words.filter((word) => word.startsWith(begun)) };
      },
    });
    this.begin();
  }

  begin(reading: Reading = "command", prompt = PROMPT): this {
    this.screen.write(this.editor.begin(prompt, reading));
    return this;
  }

  type(...pieces: (string | Uint8Array)[]): this {
    for (const piece of pieces) {
      this.editor.feed(typeof piece === "string" ? bytes(piece) : piece);
      while (true) {
        const { out, edited } = this.editor.next();
        this.screen.write(out);
        if (edited === null) break;
        this.entered.push(edited);
        this.begin();
      }
    }
    return this;
  }

  get lines(): string[] {
    return this.entered.flatMap((one) => one.kind === "line" ? [one.text] : []);
  }
}

Deno.test("LineEditor runs nothing by the line ends of a paste: a person sees it and presses Enter", () => {
  const person = new Person().type("\x1b[200~poweroff\rreboot\r\n\x1b[201~");
  assert.deepEqual(person.entered, []);
  assert.equal(person.screen.row, `${PROMPT}poweroff reboot`);
  assert.deepEqual(person.type("\r").lines, ["poweroff reboot "]);
});

Deno.test("LineEditor shows at each moment what it would enter, whatever is typed, at any terminal", () => {
  const key = fc.constantFrom(
    ..."ab c".split(""),
    "é",
    "e\u0301",
    "漢",
    "👍",
    "\x01",
    "\x05",
    "\x0b",
    "\x15",
    "\x17",
    "\x04",
    "\x7f",
    "\x0c",
    "\x1b[A",
    "\x1b[B",
    "\x1b[C",
    "\x1b[D",
    "\x1b[3~",
    "\x1bb",
    "\x1bf",
    "\t",
    "\x1b[200~x y\rz\x1b[201~",
    "\r",
    "\x03",
    "\x9b",
    "\xff",
  );
  const word = fc.array(key, { maxLength: 40 });
  fc.assert(
    fc.property(word, fc.boolean(), fc.integer({ min: 20, max: 90 }), (keys, plain, columns) => {
      const person = new Person({ plain, columns, words: ["alpha", "albatross"] });
      for (const one of keys) {
        person.type(one);
        const row = person.screen.row;
        assert.ok(row.startsWith(PROMPT.trimEnd()), row);
        assert.ok(person.screen.column < columns);
      }
      // What stands in the row is the line, or the part of it that has room.
      const shown = person.screen.row.slice(PROMPT.length);
      const count = person.lines.length;
      person.type("\r");
      const line = person.lines[count] ?? "";
      assert.ok(line.trimEnd().includes(shown.trim()), `${shown} of ${line}`);
      if (line.length < columns / 2 - PROMPT.length) assert.equal(shown, line.trimEnd());
    }),
    { numRuns: 400 },
  );
});

Deno.test("LineEditor puts the cursor where the next key goes, also among wide characters", () => {
  const person = new Person().type("a漢b\x1b[D\x1b[D");
  assert.equal(person.screen.column, PROMPT.length + 1);
  assert.deepEqual(person.type("x\r").lines, ["ax漢b"]);
  // An accent that comes alone goes with its letter, and is erased with it.
  assert.deepEqual(person.type("e\u0301\x7f", "o", "\u0301", "\x7fz\r").lines.at(-1), "z");
});

Deno.test("LineEditor edits as a person is used to", () => {
  const cases: [string, string][] = [
    ["status\x01vm \x05!", "vm status!"],
    ["one two\x17three", "one three"],
    ["one two\x15", ""],
    ["one two\x01\x0b", ""],
    ["abc\x1b[D\x1b[D\x04", "ac"],
    ["abc\x1b[H\x1b[3~", "bc"],
    ["one two three\x1bb\x1bb\x0b", "one "],
    ["one\x1bb\x1bfx", "onex"],
    ["abc\x7f\x7f\x08\x08z", "z"],
  ];
  for (const [typed, entered] of cases) {
    const person = new Person().type(`${typed}\r`);
    assert.deepEqual(person.lines, [entered], JSON.stringify(typed));
  }
});

Deno.test("LineEditor leaves a line at Ctrl-C, and at Ctrl-D only where it is empty", () => {
  const person = new Person().type("reboot\x03", "x\x04", "\x15", "\x04");
  assert.deepEqual(person.entered, [{ kind: "interrupt" }, { kind: "end" }]);
  assert.match(person.screen.text, /reboot\^C\n/);
});

Deno.test("LineEditor remembers lines, and none that is hidden, empty or begins with a blank", () => {
  const person = new Person().type("one\r", "one\r", "\r", " two\r", "three\r");
  person.begin("hidden", "passphrase: ").type("correct horse\r");
  assert.equal(person.lines.at(-1), "correct horse");
  assert.deepEqual(person.editor.history, ["one", "three"]);
  assert.deepEqual(person.type("\x1b[A\x1b[A\r").lines.at(-1), "one");
  assert.deepEqual(person.type("new\x1b[A\x1b[B\r").lines.at(-1), "new");
  assert.ok(!person.screen.text.includes("horse"));
});

Deno.test("LineEditor shows nothing of a hidden line, whatever key is pressed in it", () => {
  const key = fc.constantFrom("a", "é", "\x7f", "\x01", "\t", "\x0c", "\x1b[A", "\x1b[D", "\x15");
  fc.assert(
    fc.property(fc.array(key), (keys) => {
      const person = new Person().begin("hidden", "passphrase: ").type(...keys);
      assert.equal(person.screen.row, "passphrase:");
      assert.equal(person.screen.column, "passphrase: ".length);
    }),
  );
});

Deno.test("LineEditor says nothing at all of a quiet line, not even that it ended", () => {
  const editor = new LineEditor({
    screen: { columns: 80, plain: false },
    complete: () => ({ words: [], begun: "" }),
  });
  let shown = editor.begin("", "quiet");
  editor.feed(bytes("c2VjcmV0\rrest"));
  const { out, edited } = editor.next();
  assert.deepEqual([shown += out, edited], ["", { kind: "line", text: "c2VjcmV0" }]);
  assert.equal(editor.hide() + editor.paint(), "");
});

Deno.test("LineEditor completes what is common and lists the rest at the second Tab", () => {
  const person = new Person({ words: ["policy", "poweroff", "reboot"] });
  person.type("re\t");
  assert.equal(person.screen.row, `${PROMPT}reboot`);
  person.type("\x15p\t\t\t");
  assert.match(person.screen.text, /\npolicy {4}poweroff\nrayos> po$/);
  assert.deepEqual(person.type("\x15none\t\t\r").lines, ["none"]);
});

Deno.test("LineEditor keeps what was typed ahead for the next line, a hidden one too", () => {
  const editor = new LineEditor({
    screen: { columns: 80, plain: true },
    complete: () => ({ words: [], begun: "" }),
  });
  editor.begin(PROMPT);
  editor.feed(bytes("unlock\rsecret\rstatus"));
  assert.deepEqual(editor.next().edited, { kind: "line", text: "unlock" });
  const shown = editor.begin("passphrase: ", "hidden") + editor.next().out;
  assert.ok(!shown.includes("secret"));
});

Deno.test("LineEditor gives its line back to the screen after something else was shown", () => {
  const person = new Person({ plain: true }).type("vm li");
  person.screen.write(`${person.editor.hide()}a log line\n${person.editor.paint()}`);
  assert.equal(person.screen.text, `a log line\n${PROMPT}vm li`);
});

Deno.test("LineEditor holds a line of two thousand characters and drops what is more", () => {
  const person = new Person().type("x".repeat(5_000), "\r");
  assert.equal(person.lines[0]?.length, 2048);
});

Deno.test("LineEditor holds one character with accents without an end no longer than a long line", () => {
  const person = new Person();
  for (let n = 0; n < 12; n++) person.type("a" + "\u0301".repeat(1000));
  person.type("\r");
  const [line = ""] = person.lines;
  assert.ok(line.length > 2048 && line.length <= 4 * 2048, `${line.length} units`);
});
