/**
 * The framebuffer for the port: opened once, then written at places, each in one call and at once: what is
 * on the screen is what was written last. It knows no picture.
 */

import * as fs from "node:fs";
import { Fault, reasonOf } from "../fault.ts";
import type { FrameDevice } from "./port.ts";

/** Null where there is no such device, or none behind its node. */
export function openFrame(path: string): FrameDevice | null {
  let fd: number;
  try {
    fd = fs.openSync(path, fs.constants.O_WRONLY);
  } catch {
    return null;
  }
  return {
    write(position, bytes) {
      try {
        for (let at = 0; at < bytes.length;) {
          const count = fs.writeSync(fd, bytes, at, bytes.length - at, position + at);
          if (count === 0) throw new Error("it takes nothing");
          at += count;
        }
      } catch (error) {
        const why = `${path}: ${reasonOf(error)}; nothing is shown until the next boot`;
        throw new Fault("screen", "screen.lost", why, error);
      }
    },
    close: () => fs.closeSync(fd),
  };
}
