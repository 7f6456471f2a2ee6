/**
 * What the tests of the policy share: a text through the whole way that a policy takes in a boot, in
 * developer mode so that no signature is needed. Used by tests only.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parseCmdline } from "../../boot/cmdline.ts";
import { errorsOf } from "../../issue.ts";
import { parsePolicy, type PolicyFacts } from "../parse.ts";
import { acceptUnsigned } from "../signature.ts";

export const SAMPLE = readFileSync(new URL("v0_sample.toml", import.meta.url), "utf8");
export const FACTS: PolicyFacts = { hostName: null, minSerial: 0, remembered: null };
const { dev } = parseCmdline("rayos.dev=1", "developer").cmdline;

export function parse(text: string | Uint8Array, facts = FACTS) {
  assert(dev !== null);
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const accepted = acceptUnsigned(bytes, dev);
  assert(accepted.ok);
  return parsePolicy(accepted.verified, facts);
}

/** `rule path line:column` of each finding that denies. */
export function faults(text: string | Uint8Array, facts = FACTS): string[] {
  const { policy, issues } = parse(text, facts);
  const errors = errorsOf(issues);
  assert.equal(policy === null, errors.length > 0, "no policy exactly when something denies");
  return errors.map((one) => `${one.rule} ${one.path} ${one.line}:${one.column}`);
}

export function policyOf(text: string, facts = FACTS) {
  const { policy, issues } = parse(text, facts);
  assert(policy !== null, JSON.stringify(errorsOf(issues)));
  return policy;
}

export const V = "version = 0\n";
