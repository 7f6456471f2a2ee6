/**
 * Passwords typed at a terminal: `ray` on a pseudo-terminal of script(1), against minisign itself.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { PROJECT } from "../../tools/boot_prepare.ts";

/** Types each answer when its prompt is there; gives everything that was shown, and the exit code. */
async function atTerminal(
  folder: string,
  words: string,
  answers: readonly (readonly [prompt: string, typed: string])[],
): Promise<{ shown: string; code: number | null }> {
  const ray = `${Deno.execPath()} run -q -P=ray --config ${PROJECT}/deno.json ${PROJECT}/main.ts`;
  const child = spawn("script", ["-qec", `${ray} ${words}`, "/dev/null"], {
    cwd: folder,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const waiting = [...answers];
  let shown = "";
  child.stdout.on("data", (bytes: Uint8Array) => {
    shown += new TextDecoder().decode(bytes);
    const [next] = waiting;
    if (next === undefined || !shown.endsWith(next[0])) return;
    waiting.shift();
    child.stdin.write(next[1]);
  });
  const code = await new Promise<number | null>((done) => child.on("close", done));
  child.stdin.end();
  assert.deepEqual(waiting, [], `every prompt came; shown: ${shown}`);
  return { shown, code };
}

const NEW = "nothing for none: ";
const AGAIN = "the same again: ";
const OPEN = "password of the key: ";

Deno.test("keygen and sign ask for the password at a terminal, and never show it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "rayos-password-" });
  try {
    const made = await atTerminal(folder, "policy keygen --out k", [
      [NEW, "geheim\r"],
      [AGAIN, "gehx\x7feim\r"],
    ]);
    assert.equal(made.code, 0, made.shown);
    assert.equal((await Deno.stat(`${folder}/k.key`)).mode! & 0o777, 0o600);
    await Deno.writeTextFile(`${folder}/p.toml`, "version = 0\n");
    const signed = await atTerminal(folder, "policy sign p.toml --secret k.key", [
      [OPEN, "geheim\r"],
    ]);
    assert.equal(signed.code, 0, signed.shown);
    for (const one of [made, signed]) assert.doesNotMatch(one.shown, /geh|eim/);
    const reference = new Deno.Command("minisign", {
      args: ["-Vm", "p.toml", "-p", "k.pub"],
      cwd: folder,
    }).outputSync();
    assert.equal(reference.code, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("keygen writes nothing where the two passwords differ or Ctrl-C is pressed", async () => {
  const folder = await Deno.makeTempDir({ prefix: "rayos-password-" });
  try {
    const differ = await atTerminal(folder, "policy keygen --out k", [[NEW, "a\r"], [
      AGAIN,
      "b\r",
    ]]);
    assert.equal(differ.code, 3);
    const stopped = await atTerminal(folder, "policy keygen --out k", [[NEW, "a\x03"]]);
    assert.equal(stopped.code, 130);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("keygen with an empty password makes a key without one, and says so", async () => {
  const folder = await Deno.makeTempDir({ prefix: "rayos-password-" });
  try {
    const { shown, code } = await atTerminal(folder, "policy keygen --out k", [[NEW, "\r"]]);
    assert.equal(code, 0);
    assert.match(shown, /not encrypted/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
