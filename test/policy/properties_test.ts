import assert from "node:assert/strict";
import fc from "fast-check";
import { judge } from "../../src/policy/authorize.ts";
import { difference, widens } from "../../src/policy/explain.ts";
import { OP_TABLE, OPS } from "../../src/policy/ops.ts";
import type { Policy, Profile } from "../../src/policy/policy.ts";
import { DENY_RULES } from "../../src/policy/rules.ts";
import { TomlDocument } from "../../src/policy/toml.ts";
import { FULL_VARIABLE } from "../../tools/test_steps.ts";
import { parse, policyOf as policyOfText } from "../../src/policy/testdata/parse_text.ts";
import {
  anyCaller,
  anyDocument,
  anyPolicy,
  anyRequest,
  anyState,
  policyOf,
} from "./any_decision.ts";

const numRuns = Deno.env.get(FULL_VARIABLE) === "1" ? 100_000 : 5_000;

Deno.test("judge with the empty policy, or with none, allows nothing that exposes anything", () => {
  const empty = policyOf({});
  const exposing = OPS.filter((op) => OP_TABLE[op].exposes);
  assert(exposing.length >= 10);
  fc.assert(
    fc.property(
      fc.constantFrom(...exposing),
      anyState,
      anyCaller,
      anyRequest,
      (op, state, caller, request) =>
        [empty, null].every((policy) => judge(policy, state, caller, { ...request, op }) !== null),
    ),
    { numRuns },
  );
});

type Narrower = readonly [string, (policy: Policy) => Policy];

const inProfile = (change: (profile: Profile) => Partial<Profile>) => (policy: Policy): Policy => ({
  ...policy,
  profiles: new Map(
    [...policy.profiles].map(([name, one]) => [name, { ...one, ...change(one) }]),
  ),
});

/** Each way in which a policy can take something back. */
const NARROWERS: readonly Narrower[] = [
  ["fewer guests", (p) => ({ ...p, limits: { ...p.limits, vms: Math.max(1, p.limits.vms - 1) } })],
  [
    "less memory",
    (p) => ({ ...p, limits: { ...p.limits, memMib: (p.limits.memMib ?? 6144) - 500 } }),
  ],
  ["kvm required", (p) => ({ ...p, security: { ...p.security, virtualization: "required" } })],
  ["no agent", (p) => ({ ...p, security: { ...p.security, guestAgent: false } })],
  ["nobody presents", (p) => ({ ...p, presentation: { ...p.presentation, allow: [] } })],
  [
    "one presents less",
    (p) => ({ ...p, presentation: { ...p.presentation, allow: p.presentation.allow.slice(1) } }),
  ],
  ["no profiles", (p) => ({ ...p, profiles: new Map() })],
  ["one profile less", (p) => ({ ...p, profiles: new Map([...p.profiles].slice(1)) })],
  ["disabled", inProfile(() => ({ enabled: false }))],
  ["no autoboot", inProfile(() => ({ autoboot: false }))],
  ["not presented", inProfile(() => ({ presentOnBoot: false }))],
  ["no network", inProfile(() => ({ networking: "off" }))],
  [
    "network for provisioning alone",
    inProfile((one) => ({
      networking: one.networking === "on" ? "provisioning_only" : one.networking,
    })),
  ],
  ["no input", inProfile((one) => ({ devices: { ...one.devices, input: false } }))],
  ["no gpu", inProfile((one) => ({ devices: { ...one.devices, gpu: "none" } }))],
  ["no vtpm", inProfile((one) => ({ devices: { ...one.devices, vtpm: false } }))],
  ["no shares", inProfile((one) => ({ storage: { ...one.storage, shares: [] } }))],
  [
    "shares read-only",
    inProfile((one) => ({
      storage: {
        ...one.storage,
        shares: one.storage.shares.map((share) => ({ ...share, readOnly: true })),
      },
    })),
  ],
];

for (const [name, narrow] of NARROWERS) {
  Deno.test(`judge never allows more under a narrower policy: ${name}`, () => {
    fc.assert(
      fc.property(anyPolicy, anyState, anyCaller, anyRequest, (policy, state, caller, request) => {
        const before = judge(policy, state, caller, request);
        const after = judge(narrow(policy), state, caller, request);
        return before === null || after !== null;
      }),
      { numRuns: Math.ceil(numRuns / 4) },
    );
  });
}

Deno.test("judge throws for no request, and denies by a rule of the table", () => {
  const wild = fc.record({
    op: fc.oneof(fc.constantFrom(...OPS), fc.string(), fc.constantFrom("__proto__", "toString")),
    vm: fc.option(fc.string(), { nil: undefined }),
    device: fc.option(fc.string(), { nil: undefined }),
    share: fc.option(fc.string(), { nil: undefined }),
    writable: fc.option(fc.boolean(), { nil: undefined }),
  });
  const policy = fc.oneof(fc.constant(null), anyPolicy);
  fc.assert(
    fc.property(policy, anyState, anyCaller, wild, (given, state, caller, request) => {
      const said = judge(given, state, caller, request as never);
      return said === null ||
        Object.hasOwn(DENY_RULES, said.rule) && said.detail !== "" && said.detail.length < 300;
    }),
    { numRuns },
  );
});

/** A document as TOML, its tables and keys in the given order. */
function tomlOf(document: Record<string, unknown>, order: <T>(items: T[]) => T[]): string {
  const lines: string[] = [];
  const value = (one: unknown): string =>
    Array.isArray(one)
      ? `[${one.map(value).join(", ")}]`
      : typeof one === "object" && one !== null
      ? `{ ${order(Object.entries(one)).map(([key, v]) => `${key} = ${value(v)}`).join(", ")} }`
      : JSON.stringify(one);
  const table = (path: string[], of: Record<string, unknown>): string[] => {
    const entries = Object.entries(of).filter(([, v]) => v !== undefined);
    const isTable = (v: unknown) => typeof v === "object" && v !== null && !Array.isArray(v);
    const plain = order(entries.filter(([, v]) => !isTable(v)));
    const inner = order(entries.filter(([, v]) => isTable(v)));
    return [
      ...(path.length === 0 ? [] : [`[${path.join(".")}]`]),
      ...plain.map(([key, v]) => `${key} = ${value(v)}`),
      ...inner.flatMap(([key, v]) => table([...path, key], v as Record<string, unknown>)),
    ];
  };
  lines.push(...table([], { version: 0, serial: 1, ...document }));
  return `${lines.join("\n")}\n`;
}

Deno.test("judge says the same whatever the order of the document", () => {
  const orders = fc.constantFrom<<T>(items: T[]) => T[]>(
    (items) => [...items].reverse(),
    (items) => [...items.slice(1), ...items.slice(0, 1)],
    (items) => [...items].sort(() => -1),
  );
  // Paths that fit both kinds, so that the document is a policy.
  const document = anyDocument.map((one) => ({
    ...one,
    limits: { vms: one.limits.vms },
    windows: { ...one.windows, devices: { ...one.windows.devices, vtpm: true }, storage: {} },
  }));
  let judged = 0;
  fc.assert(
    fc.property(
      document,
      orders,
      anyState,
      fc.array(fc.tuple(anyCaller, anyRequest), { minLength: 5, maxLength: 20 }),
      (given, order, state, asked) => {
        const text = tomlOf(given, (items) => items);
        if (parse(text).policy === null) return;
        const straight = policyOfText(text);
        const turned = policyOfText(tomlOf(given, order));
        for (const [caller, request] of asked) {
          const one = judge(straight, state, caller, request);
          assert.deepEqual(judge(turned, state, caller, request), one);
          judged++;
        }
      },
    ),
    { numRuns: Math.ceil(numRuns / 50) },
  );
  assert(judged > numRuns / 50, "hardly any document was a policy");
});

Deno.test("difference says widens whenever judge would allow what it did not", () => {
  let found = 0;
  const numPairs = Math.ceil(numRuns / 2);
  fc.assert(
    fc.property(
      anyPolicy,
      anyPolicy,
      anyState,
      fc.array(fc.tuple(anyCaller, anyRequest), { minLength: 20, maxLength: 40 }),
      (old, next, state, asked) => {
        const newly = asked.some(([caller, request]) =>
          judge(old, state, caller, request) !== null &&
          judge(next, state, caller, request) === null
        );
        if (!newly) return;
        found++;
        const toml = new TomlDocument({}, { key: NOWHERE, value: null, children: null }, "");
        assert(widens(difference({ policy: old, toml }, { policy: next, toml })));
      },
    ),
    { numRuns: numPairs },
  );
  assert(found > numPairs / 20, `only ${found} pairs allowed anything new`);
});

const NOWHERE = { line: 1, column: 1, start: 0, end: 0 };
