import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { QUIET } from "../../test/quiet_surroundings.ts";
import { subjectOf } from "../plan/launch_plan.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { Given } from "./given.ts";

const PLAN = samplePlan();

/** What a guest is given, of which the network and the shares end as a test says; `asked` has it in order. */
function given(ends: { readonly network: boolean; readonly shares: boolean }) {
  const asked: string[] = [];
  const one = new Given({
    ...QUIET,
    host: new FakeHost(),
  }, {
    subject: subjectOf(PLAN),
    plan: () => PLAN,
    held: () => false,
    answered: () => true,
    kill: () => Promise.resolve(true),
  });
  one.network.end = (...words) => {
    asked.push(`network ${words.join(" ")}`);
    return Promise.resolve(ends.network);
  };
  one.shares.end = (...words) => {
    asked.push(`shares ${words.join(" ")}`);
    return Promise.resolve(ends.shares);
  };
  return { one, asked };
}

Deno.test("Given.endForSave ends shares and network, a lease too, and spares the guest's memory", async () => {
  const { one, asked } = given({ network: true, shares: true });
  assert.equal(await one.endForSave(), null);
  assert.deepEqual(asked, ["shares suspending true", "network stopped true"]);
});

Deno.test("Given.endForSave says what stays, and takes no network where a share stays", async () => {
  const share = given({ network: true, shares: false });
  assert.equal((await share.one.endForSave())?.code, "share.unproved");
  assert.deepEqual(share.asked, ["shares suspending true"]);
  const network = given({ network: false, shares: true });
  assert.equal((await network.one.endForSave())?.code, "network.unproved");
});
