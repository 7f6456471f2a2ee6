import assert from "node:assert/strict";
import fc from "fast-check";
import { PASST_FILTER_SHA256 } from "../seccomp/passt.ts";
import { macOf, renderWay, wholeNetworks } from "./way.ts";

const grant = {
  networking: "provisioning_only",
  provisioningMinutes: 30,
  provisioned: false,
  serial: 7,
  resolver: "9.9.9.9",
  allowPrivate: ["10.7.0.0/16"],
} as const;

Deno.test("renderWay gives values, an end for a lease and none for a network", () => {
  assert.equal(
    renderWay(grant, { give: "lease", seconds: 1800 }),
    `rayos-net 0\nlease 1800\nresolver 9.9.9.9\nseccomp ${PASST_FILTER_SHA256}\nallow 10.7.0.0/16\n`,
  );
  const plain = renderWay({ ...grant, resolver: null, allowPrivate: [] }, { give: "network" });
  assert.equal(
    plain,
    `rayos-net 0\nlease endless\nresolver uplink\nseccomp ${PASST_FILTER_SHA256}\n`,
  );
});

const number = (address: string) =>
  address.split(".").reduce((all, part) => all * 256 + Number(part), 0);
const holds = (network: string, address: number) => {
  const [base = "", prefix = ""] = network.split("/");
  const size = 2 ** (32 - Number(prefix));
  return Math.floor(number(base) / size) === Math.floor(address / size);
};

const network = fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 32 }))
  .map(([address, prefix]) => `${address}/${prefix}`);

Deno.test("wholeNetworks holds the same addresses, none twice, each from its first one", () => {
  const address = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  fc.assert(
    fc.property(fc.array(network, { maxLength: 8 }), address, (asked, any) => {
      const whole = wholeNetworks(asked);
      const looked = [any, ...asked.map((one) => number(one.split("/")[0] ?? ""))];
      for (const one of looked) {
        const times = whole.filter((part) => holds(part, one)).length;
        assert.equal(times, asked.some((part) => holds(part, one)) ? 1 : 0);
      }
      for (const part of whole) {
        const [base = "", prefix = ""] = part.split("/");
        assert.equal(number(base) % 2 ** (32 - Number(prefix)), 0);
      }
    }),
  );
});

Deno.test("wholeNetworks drops what lies in another and masks what was written with an address", () => {
  const asked = ["10.7.1.0/24", "10.7.3.4/16", "192.168.1.1/32", "10.7.0.0/16"];
  assert.deepEqual(wholeNetworks(asked), ["10.7.0.0/16", "192.168.1.1/32"]);
});

Deno.test("macOf gives each guest and each host its own, one that no maker has", () => {
  const key = new Uint8Array(32);
  const mac = macOf(key, "a");
  assert.match(mac, /^52:54(:[0-9a-f]{2}){4}$/);
  assert.equal(mac, macOf(key, "a"));
  assert.notEqual(mac, macOf(key, "b"));
  assert.notEqual(mac, macOf(new Uint8Array(32).fill(1), "a"));
});
