/**
 * `policy/state.json`: the highest serial that was accepted, and of which bytes. It lies on RayOS Data,
 * so whoever can write there can put an older one back together with an older policy; the image's
 * `min_serial` is the floor that they cannot lower. Pure.
 */

import { z } from "zod/mini";
import { type Issue, issue } from "../issue.ts";

export interface Accepted {
  readonly serial: number;
  /** SHA-256 of the policy's exact bytes, in hex. */
  readonly sha256: string;
}

const ACCEPTED = z.strictObject({
  version: z.literal(0),
  serial: z.int().check(z.minimum(1)),
  sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
});

/** What is remembered; null where nothing is; an issue where what is there cannot be believed. */
export function parseAccepted(text: string | null): Accepted | null | Issue {
  if (text === null) return null;
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    // Falls through to the same finding as any other damage.
  }
  const parsed = ACCEPTED.safeParse(value);
  if (parsed.success) return { serial: parsed.data.serial, sha256: parsed.data.sha256 };
  return issue("serial.state", {
    path: "policy/state.json",
    expected: "the serial and hash of the last accepted policy",
    found: "a damaged file",
    hint: "put back the file from a backup; without it an older policy could be put in force",
  });
}

/** The file's text. */
export function renderAccepted(accepted: Accepted): string {
  return `${JSON.stringify({ version: 0, serial: accepted.serial, sha256: accepted.sha256 })}\n`;
}

/** What to remember after accepting a policy; null where what is remembered stays. */
export function nextAccepted(
  remembered: Accepted | null,
  policy: { readonly serial: number | null; readonly sha256: string },
): Accepted | null {
  if (policy.serial === null) return null;
  if (remembered !== null && remembered.serial >= policy.serial) return null;
  return { serial: policy.serial, sha256: policy.sha256 };
}
