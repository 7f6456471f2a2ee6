/**
 * The RayOS Data disk of a harness run: which files lie on it, and the file system they are put
 * into. Writes only the disk image it is asked for.
 */
import { Fault, reasonOf } from "../src/fault.ts";
import { parseSecretKey, signDetached } from "../src/policy/secret_key.ts";
import {
  type DiskFile as BuiltDiskFile,
  makeDataDisk as makeDisk,
  readDataDisk,
} from "./data_disk.ts";

/**
 * A file of the disk: its bytes, a file of this machine that is copied, the target of a symbolic
 * link, or the path of an earlier file of the disk of which it is a second name.
 */
export type DiskFile =
  | Uint8Array
  | string
  | { readonly copy: string }
  | { readonly link: string }
  | { readonly same: string };

/** Path below the data root → file. */
export type DiskFiles = Readonly<Record<string, DiskFile>>;

export interface DataDiskOptions {
  readonly sizeMiB?: number;
  readonly label?: string;
}

export const POLICY_PATH = "policy/rayos-policy.toml";
export const SIGNATURE_PATH = `${POLICY_PATH}.minisig`;

/** The policy and, where there is one, its signature, as files of the disk. */
export function policyFiles(policy: Uint8Array | string, signature: string | null): DiskFiles {
  return signature === null
    ? { [POLICY_PATH]: policy }
    : { [POLICY_PATH]: policy, [SIGNATURE_PATH]: signature };
}

/**
 * Signs with a minisign secret key file that has no password.
 * @throws Fault `key.missing` or the rule of what is wrong with the key
 */
export async function signWith(keyFile: string, bytes: Uint8Array): Promise<string> {
  let text: string;
  try {
    text = await Deno.readTextFile(keyFile);
  } catch (error) {
    const why = reasonOf(error);
    throw new Fault("cli", "key.missing", `signing: ${why}; build the image, which makes the key`);
  }
  const parsed = parseSecretKey(text);
  if (!parsed.ok) {
    const { rule, expected, found, hint } = parsed.issue;
    throw new Fault("cli", rule, `${keyFile}: expected ${expected}, found ${found}; ${hint}`);
  }
  return signDetached(bytes, parsed.secretKey, { trustedComment: "rayos developer policy" });
}

function diskFile(file: DiskFile): BuiltDiskFile {
  if (typeof file === "string" || file instanceof Uint8Array) return { content: file };
  if ("link" in file) return { symlink: file.link };
  return "same" in file ? { hardLinkTo: file.same } : { copyOf: file.copy };
}

/**
 * Makes an ext4 image with these files, all of them root's.
 * @param target path of the image; replaced where it exists
 * @throws Fault `disk.failed`, mostly because the files do not fit
 */
export function makeDataDisk(
  target: string,
  files: DiskFiles,
  options: DataDiskOptions = {},
): void {
  const { sizeMiB = 256, label = "RAYOS_DATA" } = options;
  const built = Object.fromEntries(
    Object.entries(files).map(([path, file]) => [path, diskFile(file)]),
  );
  try {
    makeDisk({ path: target, sizeMiB, label, files: built });
  } catch (error) {
    throw new Fault("cli", "disk.failed", `data disk: ${reasonOf(error)}; see its message`, error);
  }
}

/** The policy on a disk image; empty where it has none that can be read. */
export function policyOnDisk(image: string): string {
  try {
    return new TextDecoder().decode(readDataDisk(image, POLICY_PATH) ?? new Uint8Array());
  } catch {
    return "";
  }
}
