import assert from "node:assert/strict";
import { FakeHost } from "../test/fake_host.ts";
import { freeName } from "./free_name.ts";

Deno.test("freeName gives the first name that nothing has, so that nothing is replaced", () => {
  const host = new FakeHost();
  const given = [1, 2, 3].map(() => {
    const name = freeName(host, (count) => `/var/rayos/policy/state.json.aside.${count}`);
    host.seed(name, "set aside");
    return name;
  });
  assert.deepEqual(given.map((name) => name.at(-1)), ["1", "2", "3"]);
});
