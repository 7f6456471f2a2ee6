import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { bootLogFile, tailOfBootLog } from "./boot_log.ts";

const LOG = { root: "/var/rayos/logs", bootId: "b" };

function host(newest: string, old?: string): FakeHost {
  const host = new FakeHost();
  host.seed(bootLogFile(LOG.root, LOG.bootId), newest);
  if (old !== undefined) host.seed(bootLogFile(LOG.root, LOG.bootId, true), old);
  return host;
}

Deno.test("tailOfBootLog goes on in the file before where the newest has too few lines, and cuts none in two", () => {
  assert.deepEqual(tailOfBootLog(host("c\nd\n", "aaa\nbbb\n"), LOG, 100), ["aaa", "bbb", "c", "d"]);
  assert.deepEqual(tailOfBootLog(host("c\nd\n", "aaa\nbbb\n"), LOG, 10), ["bbb", "c", "d"]);
  assert.deepEqual(tailOfBootLog(host("c\nd\n", "aaa\nbbb\n"), LOG, 3), ["d"]);
  assert.deepEqual(tailOfBootLog(host("c\nd\n", "aaa\nbbb\n"), LOG, 100, 3), ["bbb", "c", "d"]);
  assert.deepEqual(tailOfBootLog(host("c\n"), LOG, 100), ["c"]);
  assert.deepEqual(tailOfBootLog(host("", "a\n"), LOG, 100), ["a"]);
  assert.deepEqual(tailOfBootLog(new FakeHost(), LOG, 100), []);
});
