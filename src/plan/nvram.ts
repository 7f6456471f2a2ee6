/**
 * Whether bytes are a store of UEFI variables as OVMF keeps them: its two headers, which say how large it
 * is and that it is whole. Damage further in is OVMF's to find. Pure.
 *
 * Sources: UEFI Platform Initialization 1.7, volume 3, 3.2.1 (EFI_FIRMWARE_VOLUME_HEADER); EDK2,
 * MdeModulePkg/Include/Guid/VariableFormat.h (VARIABLE_STORE_HEADER).
 */

import { type Issue, issue } from "../issue.ts";

/** Places in the volume's header, in bytes. */
const VOLUME = { length: 32, signature: 40, headerLength: 48 } as const;
const VOLUME_SIGNATURE = "_FVH";
/** gEfiAuthenticatedVariableGuid, as its bytes lie there. */
const VARIABLES = "782cf3aa7b949a43a1802e144ec37792";
/** Places in the variable store's header, which follows the volume's. */
const STORE = { format: 20, state: 21, size: 24 } as const;
const FORMATTED = 0x5a;
const HEALTHY = 0xfe;
/** No header of a volume is longer. */
const MOST_HEADER = 4096;

/** What is wrong with a guest's variables; null where nothing is. */
export function nvramIssue(bytes: Uint8Array, expectedSize: number): Issue | null {
  if (bytes.length !== expectedSize) return wrongSize(expectedSize, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const signature = new TextDecoder().decode(
    bytes.subarray(VOLUME.signature, VOLUME.signature + VOLUME_SIGNATURE.length),
  );
  if (signature !== VOLUME_SIGNATURE) return damaged("a firmware volume", "no header of one");
  const length = view.getBigUint64(VOLUME.length, true);
  if (length !== BigInt(expectedSize)) {
    return damaged(`a volume of ${expectedSize} bytes`, `one that says ${length} bytes`);
  }
  const header = view.getUint16(VOLUME.headerLength, true);
  if (header % 2 !== 0 || header > MOST_HEADER) return damaged("a header's length", String(header));
  let sum = 0;
  for (let at = 0; at < header; at += 2) sum = (sum + view.getUint16(at, true)) & 0xffff;
  if (sum !== 0) return damaged("a volume's header with a right checksum", "a wrong checksum");
  const store = bytes.subarray(header, header + STORE.size);
  const guid = [...store.subarray(0, 16)].map((one) => one.toString(16).padStart(2, "0")).join("");
  if (guid !== VARIABLES) return damaged("a store of variables", "none");
  if (store[STORE.format] !== FORMATTED || store[STORE.state] !== HEALTHY) {
    return damaged("a store that is whole", "one that says it is not");
  }
  return null;
}

/** The issue of variables of another size, in bytes, than OVMF's. */
export function wrongSize(expected: number, found: number): Issue {
  return damaged(`${expected} bytes`, `${found} bytes`);
}

function damaged(expected: string, found: string): Issue {
  return issue("vm.nvram_damaged", {
    expected,
    found,
    hint: "it is left as it is; put back a copy from the guest's backup folder (docs/WINDOWS.md)",
  });
}
