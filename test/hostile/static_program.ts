/**
 * Compiles a small C program of the tests as one static file, which needs nothing of the machine or the
 * jail that it runs in. It changes nothing but the file it is asked for.
 */
import { run } from "../../tools/build_host.ts";

const STRICT = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"];

/**
 * Writes the program to `target` and gives its bytes.
 * @throws ToolError with the compiler's words
 */
export async function staticProgram(
  sources: readonly string[],
  target: string,
): Promise<Uint8Array> {
  run("gcc", ["-static", "-s", ...STRICT, "-o", target, ...sources]);
  return await Deno.readFile(target);
}
