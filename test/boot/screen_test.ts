/**
 * The host's screen in a real machine: the status view, and each guest's picture below the bar that names it,
 * from the guest's own driver over QEMU's VNC and the host's framebuffer to what the outer machine shows.
 */
import assert from "node:assert/strict";
import type { VmId } from "../../src/id.ts";
import type { Font } from "../../src/presentation/font.ts";
import { askInside, insideOverlay, killProgram, rayDoes } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  fullTest,
  Home,
  imageOf,
  showingLines,
  startMachine,
} from "./machine.ts";
import { SCREEN_GUEST_MIB, screenGuest } from "./screen_guest.ts";
import {
  drawn,
  fontInside,
  hasBar,
  keepPicture,
  partOf,
  type Screenshot,
  untilScreen,
  untilStatus,
} from "./screenshot.ts";
import { severalDisk, tinyNames } from "./several.ts";

const [ONE = "", OTHER = ""] = tinyNames(2);
/** As the guest's `paint` fills its screen: letters are the bytes of a pixel. */
const COLOUR_OF_ONE = [0x21, 0x30, 0x7a] as const;
const COLOUR_OF_OTHER = [0x7a, 0x30, 0x21] as const;
/** The guest's own cursor blinks over its picture, and less than the host's whole screen is its. */
const NEARLY_ALL = 0.98;

const shown = (vm: string, input: boolean) => ({ vm: vm as VmId, kind: "linux" as const, input });

/** No picture stands below the name of another guest, or of nobody. */
function neverMixed(font: Font) {
  return (screen: Screenshot): void => {
    const nobody = drawn(screen, font, null);
    const [one, other] = [shown(ONE, true), shown(OTHER, false)].map((of) =>
      drawn(screen, font, of)
    );
    const others = [[COLOUR_OF_ONE, other], [COLOUR_OF_OTHER, one]] as const;
    for (const [colour, named] of others) {
      for (const bar of [named, nobody]) {
        if (bar === undefined || !hasBar(screen, bar)) continue;
        assert.equal(
          partOf(screen, nobody.bar.height, colour),
          0,
          "a picture below another's name",
        );
      }
    }
  };
}

// The bar and the status are looked at in every run, beside the keys of `presentation_test.ts`.
fullTest(
  "the screen shows the presented guest's picture below its own name, and the host's status otherwise",
  async () => {
    await using home = await Home.make();
    const guest = await screenGuest(home, await imageOf("compiled"));
    const disk = await severalDisk([ONE, OTHER], home, {
      screen: true,
      mute: [OTHER],
      guest,
      eachMib: SCREEN_GUEST_MIB,
      spareMib: 192,
    });
    await using run = await startMachine({
      disks: [{ path: disk }],
      extra: ["-device", "VGA", "-device", "virtio-keyboard-pci"],
      overlay: await insideOverlay(),
    });
    await showingLines(run, async () => {
      await run.waitFor("RAYOS_READY mode=normal", 120_000);
      const font = await fontInside(run);
      for (const vm of [ONE, OTHER]) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
      // What the kernel's own console is told does not come to the screen.
      await askInside(run, "do echo kernel console > /dev/tty1", /inside done/u);
      await untilStatus(run, font);
      await keepPicture(run, "status");
      const order = [[ONE, true, COLOUR_OF_ONE], [OTHER, false, COLOUR_OF_OTHER]] as const;
      for (const [vm, input, colour] of [...order, ...order]) {
        await rayDoes(run, `present ${vm}`);
        await untilScreen(run, `the picture of ${vm}`, (screen) => {
          const own = drawn(screen, font, shown(vm, input));
          return hasBar(screen, own) && partOf(screen, own.bar.height, colour) > NEARLY_ALL;
        }, neverMixed(font));
        await keepPicture(run, vm);
      }
      assert.ok(
        run.lines.some((line) =>
          line.event === "RAYOS_PRESENTATION:on" && line.fields["surface"] === "fb"
        ),
      );
      // A program that was started again shows nobody.
      await killProgram(run);
      await untilStatus(run, font);
      // A QEMU that is gone takes its picture with it.
      await rayDoes(run, `present ${ONE}`);
      await untilScreen(
        run,
        "its picture again",
        (screen) =>
          partOf(screen, drawn(screen, font, null).bar.height, COLOUR_OF_ONE) > NEARLY_ALL,
      );
      await rayDoes(run, `vm kill ${ONE}`);
      await untilStatus(run, font);
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
  },
);
