import assert from "node:assert/strict";
import { autobootGuests } from "./boot_guests.ts";

const linux = (more: string) => `version = 0\n[linux]\nvm_id = "a"\nenabled = true\n${more}`;

Deno.test("autobootGuests names what starts at boot", () => {
  assert.deepEqual(autobootGuests(linux("autoboot = true")), [{ id: "a", kind: "linux" }]);
});

Deno.test("autobootGuests names none that does not start", () => {
  for (
    const policy of [
      "",
      "not toml",
      linux(""),
      linux("autoboot = false"),
      linux("autoboot = true").replace("enabled = true", "enabled = false"),
      `${linux("autoboot = true")}\n[defaults]\nautoboot_vms = false`,
    ]
  ) assert.deepEqual(autobootGuests(policy), [], policy);
});

Deno.test("autobootGuests of the harness's own policy is its one guest", async () => {
  const file = new URL("boot_default_policy.toml", import.meta.url);
  const guests = autobootGuests(await Deno.readTextFile(file));
  assert.deepEqual(guests, [{ id: "linux-demo-001", kind: "linux" }]);
});
