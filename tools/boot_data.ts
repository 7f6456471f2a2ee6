/**
 * The RayOS Data disk of a harness run: which files lie on it, and the file system they are put
 * into. Writes only the disk image it is asked for.
 */
import { Fault, reasonOf } from "../src/fault.ts";
import { parseSecretKey, signDetached } from "../src/policy/secret_key.ts";

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

async function tool(program: string, args: string[]): Promise<void> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(program, { args, stdin: "null" }).output();
  } catch (error) {
    const why = reasonOf(error);
    throw new Fault("cli", "tool.missing", `${program}: ${why}; run tools/rayos setup`, error);
  }
  if (!output.success) {
    const why = new TextDecoder().decode(output.stderr).trim();
    throw new Fault("cli", "tool.failed", `${program} ${args.join(" ")}: ${why}; see its message`);
  }
}

async function put(directory: string, path: string, file: DiskFile): Promise<void> {
  const target = `${directory}/${path}`;
  await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true, mode: 0o700 });
  if (typeof file === "string") await Deno.writeTextFile(target, file, { mode: 0o600 });
  else if (file instanceof Uint8Array) await Deno.writeFile(target, file, { mode: 0o600 });
  else if ("link" in file) await Deno.symlink(file.link, target);
  else if ("same" in file) await Deno.link(`${directory}/${file.same}`, target);
  else await tool("cp", ["--sparse=always", "--no-preserve=all", file.copy, target]);
}

/**
 * Makes an ext4 image with these files, all of them root's.
 * @param target path of the image; replaced where it exists
 * @throws Fault `tool.missing`, `tool.failed`
 */
export async function makeDataDisk(
  target: string,
  files: DiskFiles,
  options: DataDiskOptions = {},
): Promise<void> {
  const { sizeMiB = 256, label = "RAYOS_DATA" } = options;
  const directory = await Deno.makeTempDir({ prefix: "rayos-data-" });
  try {
    for (const [path, file] of Object.entries(files)) await put(directory, path, file);
    await Deno.remove(target).catch(() => {});
    await tool("mke2fs", [
      ...["-q", "-t", "ext4", "-L", label, "-E", "root_owner=0:0", "-d", directory],
      ...[target, `${sizeMiB}M`],
    ]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Makes an empty ext4 image, as a guest's own disk. */
export async function makeEmptyDisk(target: string, sizeMiB: number): Promise<void> {
  await Deno.remove(target).catch(() => {});
  await tool("mke2fs", ["-q", "-t", "ext4", target, `${sizeMiB}M`]);
}
