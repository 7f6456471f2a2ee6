/** Python's own readers, for tests that ask somebody else what our texts say. */

import assert from "node:assert/strict";

export const PYTHON = "/usr/bin/python3";

/** Whether there is such a file here; a test that needs it is skipped else. */
export function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Runs a script that reads JSON from its input; gives what it printed as JSON. */
export async function askPython(script: string, value: unknown): Promise<unknown> {
  const child = new Deno.Command(PYTHON, {
    args: ["-I", "-c", script],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(value)));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}
