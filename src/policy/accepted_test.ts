import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Accepted,
  acceptedByPerson,
  nextAccepted,
  parseAccepted,
  renderAccepted,
} from "./accepted.ts";
import { parse } from "./testdata/parse_text.ts";

const SHA = "a".repeat(64);
const OTHER = "b".repeat(64);
const NOTHING_ACCEPTED: Accepted = { serial: 0, sha256: null };

function ruleOf(text: string | null, hasHistory = false): string {
  const found = parseAccepted(text, hasHistory);
  return found === null ? "fresh" : "rule" in found ? found.rule : `serial ${found.serial}`;
}

Deno.test("parseAccepted reads what renderAccepted wrote", () => {
  for (const one of [NOTHING_ACCEPTED, { serial: 0, sha256: SHA }, { serial: 7, sha256: SHA }]) {
    assert.deepEqual(parseAccepted(renderAccepted(one), true), one);
  }
});

Deno.test("parseAccepted of no file is nothing on a fresh data root, and a finding on any other", () => {
  assert.equal(parseAccepted(null), null);
  assert.equal(ruleOf(null), "fresh");
  assert.equal(ruleOf(null, true), "serial.state_lost");
});

Deno.test("parseAccepted refuses the file cut at every length, and every flipped bit that matters", () => {
  const text = renderAccepted({ serial: 7, sha256: SHA }).trimEnd();
  for (let length = 0; length < text.length; length++) {
    assert.equal(ruleOf(text.slice(0, length)), "serial.state", `${length}`);
  }
  for (let at = 0; at < text.length; at++) {
    for (let bit = 0; bit < 7; bit++) {
      const changed = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << bit)) +
        text.slice(at + 1);
      const found = parseAccepted(changed, true);
      // What is still such a file says another serial or another hash, never the same.
      if (found !== null && !("rule" in found)) {
        assert.notDeepEqual(found, { serial: 7, sha256: SHA }, changed);
      }
    }
  }
});

Deno.test("parseAccepted refuses what only looks like such a file", () => {
  for (
    const text of [
      "",
      "null",
      "[]",
      '{"version":1,"serial":7,"sha256":null}',
      '{"version":0,"serial":-1,"sha256":null}',
      '{"version":0,"serial":1.5,"sha256":null}',
      '{"version":0,"serial":7,"sha256":null}',
      '{"version":0,"serial":1,"sha256":null}',
      '{"version":0,"serial":7}',
      `{"version":0,"serial":7,"sha256":"${SHA.toUpperCase()}"}`,
      `{"version":0,"serial":7,"sha256":"${SHA}","x":1}`,
      `{"version":0,"serial":7,"serial":1,"sha256":"${SHA}"}`,
      `{"version":0,"serial":7,"sha256":"${SHA}"}{}`,
      `{"__proto__":{"serial":7},"version":0,"sha256":"${SHA}"}`,
    ]
  ) assert.equal(ruleOf(text), "serial.state", text);
});

Deno.test("nextAccepted never lowers a serial and forgets none", () => {
  const any = fc.record({
    serial: fc.option(fc.integer({ min: 1, max: 9 })),
    sha256: fc.constantFrom(SHA, OTHER),
  });
  fc.assert(fc.property(fc.array(any), (policies) => {
    let state: Accepted | null = null;
    let highest = 0;
    for (const policy of policies) {
      state = nextAccepted(state, policy) ?? state;
      highest = Math.max(highest, policy.serial ?? 0);
      assert.equal(state?.serial, highest);
    }
  }));
});

Deno.test("nextAccepted remembers the first policy, a higher serial, and the last one without any", () => {
  const none = { serial: null, sha256: SHA };
  assert.deepEqual(nextAccepted(null, none), { serial: 0, sha256: SHA });
  assert.deepEqual(nextAccepted(NOTHING_ACCEPTED, none), { serial: 0, sha256: SHA });
  assert.equal(nextAccepted({ serial: 0, sha256: SHA }, none), null);
  assert.deepEqual(nextAccepted({ serial: 0, sha256: OTHER }, none), { serial: 0, sha256: SHA });
  assert.equal(nextAccepted({ serial: 2, sha256: OTHER }, none), null);
  assert.deepEqual(nextAccepted({ serial: 2, sha256: OTHER }, { serial: 3, sha256: SHA }), {
    serial: 3,
    sha256: SHA,
  });
  assert.equal(nextAccepted({ serial: 2, sha256: SHA }, { serial: 2, sha256: SHA }), null);
});

Deno.test("nextAccepted keeps the passphrase's hash of the last accepted policy, and lets it go with it", () => {
  const passphrase = `$scrypt$ln=15,r=8,p=1$${"a".repeat(22)}$${"b".repeat(43)}`;
  const first = nextAccepted(null, { serial: 1, sha256: SHA, passphrase });
  assert.deepEqual(first, { serial: 1, sha256: SHA, passphrase });
  assert.deepEqual(parseAccepted(renderAccepted(first ?? NOTHING_ACCEPTED), true), first);
  assert.equal(nextAccepted(first, { serial: 1, sha256: SHA, passphrase }), null);
  // One that was accepted before the hash was kept is remembered with it.
  const old = { serial: 1, sha256: SHA };
  assert.deepEqual(nextAccepted(old, { serial: 1, sha256: SHA, passphrase }), first);
  const next = nextAccepted(first, { serial: 2, sha256: OTHER, passphrase: null });
  assert.deepEqual(next, { serial: 2, sha256: OTHER });
  // An older policy leaves everything as it is.
  assert.equal(nextAccepted(first, { serial: null, sha256: OTHER }), null);
});

Deno.test("acceptedByPerson may lower the serial, since a person looked", () => {
  assert.deepEqual(acceptedByPerson({ serial: 1, sha256: SHA }), { serial: 1, sha256: SHA });
  assert.deepEqual(acceptedByPerson({ serial: null, sha256: SHA }), { serial: 0, sha256: SHA });
});

Deno.test("parsePolicy takes a policy with or without a serial where none was accepted yet", () => {
  const facts = { hostName: null, minSerial: 0, remembered: NOTHING_ACCEPTED };
  assert(parse("version = 0\n", facts).policy !== null);
  assert(parse("version = 0\nserial = 1\n", facts).policy !== null);
});
