/**
 * The host's own key: 32 random bytes that are made once and never replaced. It vouches for files that
 * the host itself wrote, so that nothing a guest, a jail or another file system put in their place is
 * taken for one. It lies on RayOS Data in a folder that no jail is given and no document can name
 * (`boot/`); whoever reads the whole disk has it, which docs/THREAT_MODEL.md says.
 */

import { randomBytes } from "node:crypto";
import { Fault } from "../fault.ts";
import type { Host } from "../host/port.ts";
import { PATHS } from "../permissions.ts";

export const HOST_KEY_PATH = `${PATHS.dataRoot}/boot/host.key`;
const KEY_BYTES = 32;

/**
 * The key; the first call on a data root makes it.
 *
 * @throws Fault `saved.key` where something else lies in its place, which is left as it is
 */
export function hostKey(host: Host): Uint8Array {
  if (host.lstat(HOST_KEY_PATH) === null) host.replace(HOST_KEY_PATH, randomBytes(KEY_BYTES));
  const key = host.read(HOST_KEY_PATH, KEY_BYTES);
  if (key?.length === KEY_BYTES) return key;
  throw new Fault(
    "data",
    "saved.key",
    `${HOST_KEY_PATH}: not ${KEY_BYTES} bytes; move it away, and saved states will be set aside`,
  );
}
