// deno-lint-ignore-file no-control-regex -- a terminal's own characters are what this is about
/**
 * The recovery shell as a person meets it: on a real serial line, with a policy that does not hold. It is
 * told why, looks, mends the policy by pasting another one, and the host comes to normal mode in the same
 * boot. `docs/RECOVERY.md` has what the screen shows.
 */
import assert from "node:assert/strict";
import { signWith } from "../../tools/boot_data.ts";
import { DEVELOPER_KEY } from "../../tools/boot_prepare.ts";
import { readDataDisk } from "../../tools/data_disk.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  defaultPolicy,
  eventsNamed,
  finish,
  GUEST,
  guestFiles,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";
import { forPasting, plain, PROMPT, tell } from "./serial_shell.ts";

Deno.test("a broken policy is found, mended and installed over the serial line, and the host comes to normal without a reboot", async () => {
  await using home = await Home.make();
  // Nothing starts by itself here: what a guest's start needs is other tests' matter.
  const good = (await defaultPolicy()).replace("autoboot = true", "autoboot = false");
  const broken = good.replace("cpus = 1", "cpus = 1\nsurprise = true");
  assert.notEqual(broken, good);
  const disk = dataDisk(home, { ...guestFiles(GUEST, home), ...await signedPolicy(broken) });
  await using run = await startMachine({ disks: [{ path: disk }] });
  await showingLines(run, async () => {
    await run.waitFor("RAYOS_READY mode=safe");
    assert.deepEqual(
      eventsNamed(run.lines, "RAYOS_POLICY_VIOLATION").map((event) => event.split(":")[1]),
      ["schema.unknown_key"],
    );
    await run.waitForConsole(PROMPT);
    assert.match(plain(run.console), /safe mode: no guest is started, because\n {2}\* schema\./u);

    // Whatever stood on the line before, Ctrl-C leads to an empty one.
    await run.typeBytes(Uint8Array.of(0x1b, 0x5d, 0xff, 0xfe, 0x9b, 0x1b, 0x5b, 0x33));
    const noise = run.console.length;
    await run.typeSerial("\x03");
    await run.waitForConsole(/\^C[^]*\n[^]*rayos> (\x1b\[K)?$/u, 60_000, noise);
    const why = await tell(run, "why");
    assert.match(why, /\* schema\.unknown_key: linux\.limits\.surprise \(line \d+\): expected/u);
    // A slip, mended by the line editor, and Tab.
    const checked = await tell(run, "polixy\x7f\x7fcy che\t");
    assert.match(checked, /error: schema\.unknown_key \(linux\.limits\.surprise, line \d+\)/u);
    assert.match(checked, /rayos-policy\.toml: it does not hold/u);
    assert.match(await tell(run, "shell"), /denied by op\.developer/u);

    const signature = await signWith(DEVELOPER_KEY, new TextEncoder().encode(good));
    const pasted = forPasting(good, signature);
    await tell(run, "policy paste --dry-run", /Ctrl-C leaves it\./u);
    assert.match(await tell(run, pasted.join("\r")), /nothing was installed/u);
    await tell(run, "policy paste", /Ctrl-C leaves it\./u);
    const installed = await tell(run, pasted.join("\r"));
    assert.match(installed, /is in force\n[^]*`retry` at its console/u);

    const from = run.lines.length;
    await run.typeSerial("retry\r");
    await run.waitFor("RAYOS_READY mode=normal", 120_000, from);
    const boot = await finish(run);
    const starts = boot.lines.filter((line) => line.event === "RAYOS_INIT_START");
    assert.deepEqual(starts.map((line) => line.fields["start"]), ["1", "2"]);
    assert.equal(new Set(starts.map((line) => line.fields["boot"])).size, 1, "one boot");
    const asked = eventsNamed(boot.lines, "RAYOS_HOST_ACK").map((event) => event.slice(15));
    assert.deepEqual(asked, [
      "policy.check:ok:done",
      "recovery.shell:err:op.developer",
      "policy.install:ok:done",
      "policy.install:ok:done",
    ]);
    assertEndedInOrder(boot);
    assertClean(disk);
    const policy = readDataDisk(disk, "policy/rayos-policy.toml") ?? new Uint8Array();
    assert.equal(new TextDecoder().decode(policy), good);
  });
});
