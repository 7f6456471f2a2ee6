/**
 * Finds the host's framebuffer and its font, and has the screen drawn from then on. Without one of them
 * the host works as it does without a screen, and every line about presentation says so.
 */

import { gunzipSync } from "node:zlib";
import { FRAMEBUFFER } from "../boot/hardening.ts";
import { asFault, Fault, reasonOf } from "../fault.ts";
import { socketPath } from "../id.ts";
import { PATHS } from "../permissions.ts";
import { type Font, fontOf } from "../presentation/font.ts";
import { layoutOf } from "../presentation/framebuffer.ts";
import { Screen } from "../presentation/screen.ts";
import { renderStatus } from "../presentation/status_text.ts";
import type { Runtime } from "../runtime.ts";
import { statusOf } from "./host_view.ts";

/** The node that stage 0 makes, where the kernel has a framebuffer. */
const NODE = `${PATHS.run}/fb`;
const FONT = `${PATHS.imageFacts}/font.psf.gz`;
/** Bytes: packed, and as it is read then. */
const FONT_LIMIT = { packed: 64 * 1024, plain: 512 * 1024 } as const;
const CONNECT_MS = 5_000;

/** Begins to draw, where there is a screen; nothing waits for it. @returns null where there is none */
export function beginScreen(runtime: Runtime): Screen | null {
  const { host, presenter } = runtime;
  const report = ({ stage, code, message }: Fault) =>
    runtime.emit({ type: "fault", stage, code, message });
  const frame = host.frame(NODE);
  if (frame === null) return null;
  try {
    const folder = `${PATHS.run}${FRAMEBUFFER}`;
    const screen = new Screen({
      frame,
      layout: layoutOf((name) => host.readText(`${folder}/${name}`, 4096)),
      font: readFont(runtime),
      clock: host.clock,
      connect: (slot) => host.connect(socketPath(slot, "vnc"), CONNECT_MS),
      // Not from within what the gate is doing right now.
      hide: (vm) => queueMicrotask(() => void presenter.ask({ type: "hide", vm })),
      report,
      status: () => renderStatus(statusOf(runtime)),
    });
    presenter.pictures = screen;
    void screen.run();
    return screen;
  } catch (error) {
    frame.close();
    report(asFault(error, "screen", "screen.failed"));
    return null;
  }
}

/** @throws Fault `font.missing`, `font.form`, `font.letters` */
function readFont({ host }: Runtime): Font {
  const packed = host.read(FONT, FONT_LIMIT.packed);
  if (packed === null) {
    throw new Fault("screen", "font.missing", `${FONT}: there is no such file; rebuild the image`);
  }
  let plain: Uint8Array;
  try {
    plain = gunzipSync(packed, { maxOutputLength: FONT_LIMIT.plain });
  } catch (error) {
    const why = `${FONT}: ${reasonOf(error)}; rebuild the image`;
    throw new Fault("screen", "font.form", why, error);
  }
  return fontOf(plain);
}
