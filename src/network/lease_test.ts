import assert from "node:assert/strict";
import fc from "fast-check";
import {
  networkDecision,
  type NetworkGrant,
  parseSpent,
  renderSpent,
  type SpentLease,
} from "./lease.ts";

const UUID = "5d0a3c6e-0000-4000-8000-000000000001";
const OTHER = "5d0a3c6e-0000-4000-8000-000000000002";

function grant(changes: Partial<NetworkGrant> = {}): NetworkGrant {
  return {
    networking: "provisioning_only",
    provisioningMinutes: 30,
    provisioned: false,
    serial: 7,
    resolver: null,
    allowPrivate: [],
    ...changes,
  };
}
const given = (changes: Partial<NetworkGrant>, spent: SpentLease | "unreadable" | null) =>
  networkDecision(grant(changes), UUID, spent).give;

Deno.test("networkDecision gives no second lease under the same serial or a lower one, or none", () => {
  for (const serial of [7, 8, 1000]) assert.equal(given({}, { uuid: UUID, serial }), "nothing");
  assert.equal(given({ serial: null }, { uuid: UUID, serial: 7 }), "nothing");
  assert.equal(given({ serial: null }, { uuid: UUID, serial: null }), "nothing");
  assert.equal(given({}, { uuid: UUID, serial: 6 }), "lease", "a higher serial gives it anew");
  assert.equal(given({}, { uuid: UUID, serial: null }), "lease");
});

Deno.test("networkDecision takes what cannot be read for a spent lease", () => {
  assert.equal(given({}, "unreadable"), "nothing");
  for (const text of ["", "{", "null", '{"version":1}', '{"version":0,"uuid":"x","serial":0}']) {
    assert.equal(parseSpent(text), "unreadable", text);
  }
  assert.equal(parseSpent(null), null);
});

Deno.test("networkDecision gives nothing to a guest that is set up, or that the policy gives nothing", () => {
  assert.equal(given({ provisioned: true }, null), "nothing");
  assert.equal(given({ networking: "off" }, null), "nothing");
  assert.equal(networkDecision(null, UUID, null).give, "nothing");
  assert.equal(given({ networking: "on", provisioned: true }, "unreadable"), "network");
});

Deno.test("networkDecision gives the policy's minutes, and a guest of another uuid its own lease", () => {
  assert.deepEqual(networkDecision(grant({ provisioningMinutes: 2 }), UUID, null), {
    give: "lease",
    seconds: 120,
  });
  assert.equal(given({}, { uuid: OTHER, serial: 7 }), "lease");
});

Deno.test("networkDecision: what was spent is spent after every restart, whatever serial it was under", () => {
  const serial = fc.option(fc.integer({ min: 1, max: 1_000_000 }));
  fc.assert(
    fc.property(serial, fc.integer({ min: 1, max: 1440 }), (now, provisioningMinutes) => {
      const wanted = grant({ serial: now, provisioningMinutes });
      const written = parseSpent(renderSpent({ uuid: UUID, serial: now }));
      assert.deepEqual(written, { uuid: UUID, serial: now });
      assert.equal(networkDecision(wanted, UUID, written).give, "nothing");
    }),
  );
});
