import assert from "node:assert/strict";
import { type Facet, facetsOf } from "./facets.ts";
import { policyOf, V } from "./testdata/parse_text.ts";

function facet(text: string, id: string, profile: string | null = null): Facet {
  const found = facetsOf(policyOf(V + text)).find((one) =>
    one.profile === profile && one.id === id
  );
  assert(found !== undefined, id);
  return found;
}

const level = (text: string, id: string, profile: string | null = null) => {
  const { amount } = facet(text, id, profile);
  assert("level" in amount, id);
  return amount.level;
};

const kiosk = (more = "") => `[profiles.kiosk]\nkind = "linux"\nenabled = true\n${more}`;

Deno.test("facetsOf gives the whole of a facet, and no value where any will do", () => {
  assert.deepEqual(facet("", "network.resolver"), {
    profile: null,
    id: "network.resolver",
    paths: [["network", "resolver"]],
    says: "A guest with a network asks the uplink's resolver for names.",
    amount: { set: ["uplink"] },
  });
  assert.deepEqual(facet(kiosk(), "vm_id", "kiosk"), {
    profile: "kiosk",
    id: "vm_id",
    paths: [["profiles", "kiosk", "vm_id"]],
    says: "Its name is its record's.",
    amount: { set: ["any"] },
  });
});

Deno.test("facetsOf takes autoboot from the defaults only where they say no", () => {
  const own = ["profiles", "kiosk", "autoboot"];
  const defaults = ["defaults", "autoboot_vms"];
  const on = facet(kiosk("autoboot = true\n"), "autoboot", "kiosk");
  assert.deepEqual([on.paths, on.value, on.amount], [[own], true, { level: 1 }]);
  const off = facet(kiosk(), "autoboot", "kiosk");
  assert.deepEqual([off.paths, off.value, off.amount], [[own, defaults], false, { level: 0 }]);
});

Deno.test("facetsOf gives nothing a level of nothing, and more to what gives more", () => {
  const network = (value: string) =>
    level(kiosk(`networking = "${value}"\n`), "networking", "kiosk");
  assert.deepEqual(["off", "provisioning_only", "on"].map(network), [0, 30, Infinity]);
  const measure = (value: string) => level(`security.measure = "${value}"\n`, "security.measure");
  const [required = NaN, available = NaN, off = NaN] = ["required", "if_available", "off"].map(
    measure,
  );
  assert(required === 0 && required < available && available < off);
});

Deno.test("facetsOf speaks of one private network and of several", () => {
  const says = (nets: string) =>
    facet(`network.allow_private = [${nets}]\n`, "network.allow_private").says;
  assert.equal(says(""), "No guest reaches a private network.");
  assert.equal(
    says('"10.0.0.0/8"'),
    "A guest with a network reaches the private network 10.0.0.0/8.",
  );
  assert.equal(
    says('"10.0.0.0/8", "192.168.0.0/16"'),
    "A guest with a network reaches the private networks 10.0.0.0/8 and 192.168.0.0/16.",
  );
});
