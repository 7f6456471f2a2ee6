// deno-lint-ignore-file no-control-regex -- a terminal's own characters are what this is about
/**
 * The recovery shell on the host's own screen, at the host's own keyboard: by the attention chord and a word,
 * beside a guest that writes down every key it receives; and at once on a host that was asked for recovery.
 */
import assert from "node:assert/strict";
import type { VmId } from "../../src/id.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import { listDataDisk, readDataDisk } from "../../tools/data_disk.ts";
import { tapAtHost, taps, typeAtKeyboard } from "./guest_keys.ts";
import { insideOverlay, rayInside } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  eventsNamed,
  finish,
  fullTest,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";
import {
  drawn,
  fontInside,
  fontOfPackage,
  hasBar,
  keepPicture,
  untilScreen,
  untilShell,
  untilStatus,
} from "./screenshot.ts";
import { severalDisk, tinyNames } from "./several.ts";
import { keysOf } from "./typing.ts";

const [ONE = ""] = tinyNames(1);
const SCREEN = ["-device", "virtio-keyboard-pci", "-device", "VGA"];
const chord = (run: BootRun) => tapAtHost(run, "ctrl", "alt", "pause");

const askedBy = (run: BootRun, caller = "recovery") =>
  run.lines.filter((line) =>
    line.event.startsWith("RAYOS_HOST_EVENT_V0:") && line.fields["caller"] === caller
  ).map((line) => line.event.split(":")[1]);

fullTest(
  "the recovery shell comes to the screen by the chord and a word, and its keys to no guest, nor a guest's to it",
  async () => {
    await using home = await Home.make();
    const disk = await severalDisk([ONE], home, { screen: true });
    await using run = await startMachine({
      disks: [{ path: disk }],
      extra: SCREEN,
      overlay: await insideOverlay(),
    });
    await showingLines(run, async () => {
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${ONE}`, 240_000);
      const font = await fontInside(run);
      await untilStatus(run, font);
      // Without the chord the word is nobody's.
      await typeAtKeyboard(run, "recovery\n");
      await untilStatus(run, font);
      await chord(run);
      await untilStatus(run, font);
      await typeAtKeyboard(run, "recovery\n");
      await untilShell(run, font, /^RayOS is in normal mode\.\n[^]*\nrayos>$/mu);
      await run.waitFor("RAYOS_RECOVERY_ENTERED shell=screen");
      // A slip, mended by the line editor.
      await typeAtKeyboard(run, "statuss");
      await tapAtHost(run, "backspace");
      await typeAtKeyboard(run, "\n");
      const status = await untilShell(run, font, /rayos> status\nmode +normal\n[^]*\nrayos>$/u);
      assert.match(status, new RegExp(`^${ONE} +linux +0 +running`, "mu"));
      await typeAtKeyboard(run, "why\n");
      await untilShell(run, font, /rayos> why\n\nRayOS is in normal mode\.\n[^]*\nrayos>$/u);
      await keepPicture(run, "recovery");
      await typeAtKeyboard(run, "exit\n");
      await untilStatus(run, font);
      assert.deepEqual(askedBy(run), ["status"]);

      // Somebody types when a guest takes the screen: from there on it is the guest's alone.
      await chord(run);
      await typeAtKeyboard(run, "recovery\nvm li");
      await untilShell(run, font, /rayos> vm li$/u);
      const { code, output } = await rayInside(run, `present ${ONE}`);
      assert.equal(code, 0, output);
      await untilScreen(
        run,
        "the guest's bar",
        (screen) =>
          hasBar(screen, drawn(screen, font, { vm: ONE as VmId, kind: "linux", input: true })),
      );
      await typeAtKeyboard(run, "st\n");
      await chord(run);
      await run.waitFor("RAYOS_PRESENTATION:off", 60_000);
      await typeAtKeyboard(run, "recovery\n");
      const anew = await untilShell(run, font, /\nrayos>$/u);
      assert.doesNotMatch(anew, /vm li|st$/u, "nothing of the one before, nor of the guest's");
      await typeAtKeyboard(run, "keys\n");
      await untilShell(run, font, /rayos> keys\n[^]*\nrayos>$/u);
      assert.deepEqual(askedBy(run), ["status", "keys.list"]);

      // Whoever sits there shows a guest without anybody else: as the console, which the policy names.
      const from = run.lines.length;
      await typeAtKeyboard(run, `present ${ONE}\n`);
      await run.waitFor(`RAYOS_PRESENTATION:on vm=${ONE}`, 60_000, from);
      assert.deepEqual(askedBy(run, "console"), ["present"]);
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
    assert.deepEqual(keysOf(disk, ONE, home), [
      ...taps("st"),
      "+28",
      "-28",
      ...["+ctrl", "+alt", "-alt", "-ctrl"],
    ]);
    // What was typed, as it was typed, is in nothing that the host wrote.
    for (const { kind, path } of listDataDisk(disk)) {
      if (kind !== "file" || !/^\/(logs|boot|crash|policy)\//u.test(path)) continue;
      const text = new TextDecoder().decode(readDataDisk(disk, path.slice(1)) ?? undefined);
      assert.doesNotMatch(text, /statuss|vm li(?!st)|key:(ctrl|ret|s|t)\b/u, path);
    }
  },
);

fullTest(
  "on a host that was asked for recovery the shell stands on the screen at once, beside the serial line's",
  async () => {
    await using home = await Home.make();
    const disk = dataDisk(home, await signedPolicy("version = 0\nserial = 1\n"));
    await using run = await startMachine({
      disks: [{ path: disk }],
      extra: SCREEN,
      append: "rayos.mode=recovery",
    });
    await showingLines(run, async () => {
      await run.waitFor("RAYOS_READY mode=recovery");
      // Both shells are there: the serial line is not the test's.
      const font = await fontOfPackage();
      await untilShell(run, font, /^RayOS is in recovery mode[^]*\nrayos>$/mu);
      await typeAtKeyboard(run, "policy check\n");
      await untilShell(run, font, /rayos-policy\.toml: it holds\n[^]*rayos>$/u);
      await run.waitForConsole(/rayos> (\x1b\[K)?$/u);
      await typeAtKeyboard(run, "exit\n");
      await untilScreen(run, "the host's own bar", (one) => hasBar(one, drawn(one, font, null)));
      const boot = await finish(run);
      assertEndedInOrder(boot);
      assert.equal(eventsNamed(boot.lines, "RAYOS_RECOVERY_ENTERED").length, 2);
    });
    assertClean(disk);
  },
);
