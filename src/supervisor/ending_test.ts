import assert from "node:assert/strict";
import { FakeConnection } from "../guest/fake_connection.ts";
import { QmpClient } from "../guest/qmp.ts";
import type { Host } from "../host/port.ts";
import type { Slot } from "../id.ts";
import { endGuest, type EndingLimits, endStranger } from "./ending.ts";

const SLOT = 0 as Slot;
const LIMITS: EndingLimits = { askMs: 200, powerDownMs: 200, quitMs: 200, killMs: 200 };

/** A host with one guest, which ends by the first of these ways that is tried. */
class EndingHost {
  alive = true;
  readonly tried: string[] = [];
  #now = 0;
  /** When the kernel is done with the last process, in ms. */
  lingersUntil = 0;

  /** Milliseconds that were waited for so far. */
  get now(): number {
    return this.#now;
  }

  constructor(readonly endsBy: readonly string[]) {}

  readonly host = {
    clock: {
      monoMs: () => this.#now,
      sleep: (ms: number) => {
        this.#now += ms;
        return Promise.resolve();
      },
    },
    processesOf: () => this.alive ? [7] : [],
    // The kernel still counts what has let go of nothing yet, for a while after the last process.
    readText: (path: string) => {
      assert.equal(path, "/run/rayos/cg/rayos/guests/00/cgroup.events");
      return `populated ${this.alive || this.#now < this.lingersUntil ? 1 : 0}\nfrozen 0\n`;
    },
    put: (path: string) => this.#try(path.split("/").at(-1) ?? ""),
    connect: () => Promise.resolve(this.connection()),
  } as unknown as Host;

  #try(way: string): void {
    this.tried.push(way);
    if (this.endsBy.includes(way)) this.alive = false;
  }

  connection(): FakeConnection {
    const connection = new FakeConnection();
    connection.feed('{"QMP":{"version":{}}}\n');
    connection.onWrite = (text) => {
      const { execute, id } = JSON.parse(text);
      if (execute !== "qmp_capabilities") this.#try(execute);
      connection.feed(`{"id":${id},"return":{}}\n`);
    };
    return connection;
  }
}

const WAYS: readonly [endsBy: string[], tried: string[], ending: string][] = [
  [["system_powerdown"], ["system_powerdown"], "powered_down"],
  [["quit"], ["system_powerdown", "quit"], "quit"],
  [["cgroup.kill"], ["system_powerdown", "quit", "cgroup.kill"], "killed"],
  [[], ["system_powerdown", "quit", "cgroup.kill"], "still_there"],
];
for (const [endsBy, tried, ending] of WAYS) {
  Deno.test(`endGuest tries ${tried.join(", then ")} and says ${ending}`, async () => {
    const one = new EndingHost(endsBy);
    const qmp = await QmpClient.open(one.connection(), () => {});
    assert.equal(await endGuest(one.host, SLOT, qmp, LIMITS), ending);
    assert.deepEqual(one.tried, tried);
    qmp.close();
  });
}

Deno.test("endGuest without a QMP kills, and says whether that helped", async () => {
  const one = new EndingHost(["cgroup.kill"]);
  assert.equal(await endGuest(one.host, SLOT, null, LIMITS), "killed");
  assert.deepEqual(one.tried, ["cgroup.kill"]);
});

Deno.test("endStranger asks a guest of no plan before it kills it", async () => {
  const one = new EndingHost(["system_powerdown"]);
  assert.equal(await endStranger(one.host, SLOT), "powered_down");
  assert.deepEqual(one.tried, ["system_powerdown"]);
});

Deno.test("endStranger asks once, however often it is asked for meanwhile", async () => {
  const one = new EndingHost(["system_powerdown"]);
  const both = await Promise.all([endStranger(one.host, SLOT), endStranger(one.host, SLOT)]);
  assert.deepEqual(both, ["powered_down", "powered_down"]);
  assert.deepEqual(one.tried, ["system_powerdown"]);
  // The next one is another.
  one.alive = true;
  assert.equal(await endStranger(one.host, SLOT), "powered_down");
});

Deno.test("endGuest does not call a guest ended whose cgroup is still populated", async () => {
  const one = new EndingHost(["cgroup.kill"]);
  one.lingersUntil = 120;
  assert.equal(await endGuest(one.host, SLOT, null, LIMITS), "killed");
  assert.ok(one.now >= 120, String(one.now));
  const never = new EndingHost(["cgroup.kill"]);
  never.lingersUntil = Infinity;
  assert.equal(await endGuest(never.host, SLOT, null, LIMITS), "still_there");
});

Deno.test("endGuest kills what is left below a guest's cgroup though the guest itself is gone", async () => {
  const left = new EndingHost(["cgroup.kill"]);
  // The last process of the guest is gone; its TPM's cgroup, which lies in the guest's, is not empty.
  const host = { ...left.host, processesOf: () => [] } as unknown as Host;
  assert.equal(await endGuest(host, SLOT, null, LIMITS), "killed");
  assert.deepEqual(left.tried, ["cgroup.kill"]);
});
