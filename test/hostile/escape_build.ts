/**
 * Compiles the hostile program of test/hostile/escape/ as one static file, which needs nothing of the
 * jail that it runs in. It changes nothing but the file it is asked for.
 */
import { staticProgram } from "./static_program.ts";

const SOURCES = `${import.meta.dirname ?? "."}/escape`;

/** The program's sources. */
export async function escapeSources(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(SOURCES)) if (name.endsWith(".c")) names.push(name);
  return names.sort().map((name) => `${SOURCES}/${name}`);
}

/**
 * Writes the program to `target` and gives its bytes.
 * @throws ToolError with the compiler's words
 */
export async function buildEscape(target: string): Promise<Uint8Array> {
  return await staticProgram(await escapeSources(), target);
}
