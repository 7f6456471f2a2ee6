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

/** Prometheus' own parser (python3-prometheus-client). */
export const PROMETHEUS = "/usr/lib/python3/dist-packages/prometheus_client/openmetrics/parser.py";

/** What Prometheus' own parser makes of some texts: for each, its families and samples. */
const READ = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
out = []
for text in json.load(sys.stdin):
    out.append([[f.name, f.type, f.unit, [[s.name, s.labels, str(s.value)] for s in f.samples]]
                for f in text_string_to_metric_families(text)])
json.dump(out, sys.stdout)
`;

/** A family as the parser has it, and its samples. */
export type ReadFamily = [
  name: string,
  type: string,
  unit: string,
  samples: [string, Record<string, string>, string][],
];

export async function readByPrometheus(texts: readonly string[]): Promise<ReadFamily[][]> {
  return await askPython(READ, texts) as ReadFamily[][];
}
