import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import type { HostEvent } from "../event.ts";
import { takeLeftShares } from "./share_rights.ts";

Deno.test("takeLeftShares takes what is left where nobody runs, and says what it could not", async () => {
  const host = new FakeHost();
  const asked: string[] = [];
  const events: HostEvent[] = [];
  for (const place of ["03.1", "04.0"]) {
    host.directories.add("/run/rayos/share");
    host.seed(`/run/rayos/share/${place}/x`, "");
  }
  host.launcher = (name, args) => {
    asked.push(`${name} ${args.join(" ")}`);
    return args[1] === "3"
      ? { code: 1, words: ["fault", "share.process", "virtiofsd", "does", "not", "end"] }
      : { code: 0, words: ["ok"] };
  };
  await takeLeftShares({ host, emit: (event) => void events.push(event) });
  assert.deepEqual(asked, ["share take 3 1", "share take 4 0"]);
  const codes = events.flatMap((event) => event.type === "fault" ? [event.code] : []);
  assert.deepEqual(codes, ["share.process"]);
});
