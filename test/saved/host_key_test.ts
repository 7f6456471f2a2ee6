import assert from "node:assert/strict";
import { HOST_KEY_PATH, hostKey } from "../../src/saved/host_key.ts";
import { FakeHost } from "../fake_host.ts";

Deno.test("hostKey is made once and stays the same", () => {
  const host = new FakeHost();
  const key = hostKey(host);
  assert.equal(key.length, 32);
  assert.deepEqual(hostKey(host), key);
  assert.notDeepEqual(hostKey(new FakeHost()), key);
});

Deno.test("hostKey leaves what is no key as it is", () => {
  for (const wrong of ["", "short"]) {
    const host = new FakeHost();
    host.seed(HOST_KEY_PATH, wrong);
    assert.throws(() => hostKey(host), { code: "saved.key" });
    assert.equal(host.readText(HOST_KEY_PATH, 99), wrong);
  }
});
