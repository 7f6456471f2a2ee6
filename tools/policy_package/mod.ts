/**
 * `@rayos/policy`: RayOS policies for other programs. Verify a signed policy, read it with a place for
 * every fault, decide requests by it, explain it and compare two. Everything is pure: no file is read,
 * nothing is started.
 *
 * @example
 * ```ts
 * import { makeKeyring, parsePolicy, verify } from "@rayos/policy";
 *
 * const { keyring } = makeKeyring([{ name: "policy.pub", content: publicKeyText }]);
 * const verified = verify({ bytes, signature, keyring, revoked: new Set() });
 * if (!verified.ok) throw new Error(verified.issue.rule);
 * const facts = { hostName: null, minSerial: 0, remembered: null };
 * const { policy, issues } = parsePolicy(verified.verified, facts);
 * ```
 *
 * @module
 */

export type { Issue } from "../../src/issue.ts";
export { type GuestKind, type VmId, vmId } from "../../src/id.ts";
export type { MachineState } from "../../src/machine_state.ts";
export { type Keyring, makeKeyring, parseRevoked } from "../../src/policy/keyring.ts";
export type { PublicKey } from "../../src/policy/minisign.ts";
export { type Verification, type VerifiedBytes, verify } from "../../src/policy/signature.ts";
export {
  checkPolicy,
  type ParsedPolicy,
  parsePolicy,
  type PolicyFacts,
  type Read,
  readOnDesk,
} from "../../src/policy/parse.ts";
export type { Accepted } from "../../src/policy/accepted.ts";
export type { Policy, Profile } from "../../src/policy/policy.ts";
export {
  authorize,
  type Decision,
  type Denied,
  type GuestView,
  type HostState,
  judge,
  type Request,
} from "../../src/policy/authorize.ts";
export { type Caller, CALLERS, type Op, OPS } from "../../src/policy/ops.ts";
export { DENY_RULES, type DenyRule, type RuleRow } from "../../src/policy/rules.ts";
export {
  type Difference,
  difference,
  explain,
  type Explained,
  type Statement,
  widens,
} from "../../src/policy/explain.ts";
export { policyJsonSchema } from "../../src/policy/json_schema.ts";
