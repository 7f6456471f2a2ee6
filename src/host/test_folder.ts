/**
 * A folder of its own for a test of files, and the code of the fault that some work ends in. For tests
 * only.
 */

import * as fs from "node:fs";
import { Fault } from "../fault.ts";

/** Runs the work in a new folder, which is removed afterwards. */
export async function withFolder(work: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = fs.mkdtempSync("/tmp/rayos-files-");
  try {
    await work(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** The code of the fault, or that there was none. */
export function faultCode(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof Fault ? error.code : String(error);
  }
  return "no fault";
}
