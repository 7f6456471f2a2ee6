/**
 * The documents that mean safe mode, as data: what is put on a disk that would boot a good guest, and
 * the rule that the host must name. Two test files run them, side by side.
 */
import { generateKeyPair, signDetached } from "../../src/policy/secret_key.ts";
import {
  type DiskFiles,
  POLICY_PATH,
  policyFiles,
  SIGNATURE_PATH,
  signWith,
} from "../../tools/boot_data.ts";
import { DEVELOPER_KEY } from "../../tools/boot_prepare.ts";
import { defaultPolicy, GUEST, signedPolicy } from "./machine.ts";

export interface SafeModeCase {
  readonly name: string;
  /** Boots in the full test alone: a unit test holds the same, and another boot shows its kind. */
  readonly full?: true;
  /** The rule of the violation. */
  readonly rule: string;
  /** Files that replace those of the good disk; null takes one away. */
  readonly files?: () => Promise<Readonly<Record<string, DiskFiles[string] | null>>>;
  readonly append?: string;
}

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** The good policy with one piece of its text replaced, then signed. */
async function changed(from: string | RegExp, to: string): Promise<DiskFiles> {
  const policy = await defaultPolicy();
  const text = policy.replace(from, to);
  if (text === policy) throw new Error(`the default policy has no ${from}`);
  return await signedPolicy(text);
}

/** The good policy with more text at its end, then signed. */
async function extended(more: string): Promise<DiskFiles> {
  return await signedPolicy(`${await defaultPolicy()}${more}`);
}

async function withBytes(marked: string, inPlace: number[]): Promise<DiskFiles> {
  const [before = "", after = ""] = (await defaultPolicy()).split(marked);
  const bytes = [...bytesOf(before), ...inPlace, ...bytesOf(after)];
  return await signedPolicy(new Uint8Array(bytes));
}

/** What is wrong with the policy's content; each of these is signed as it should be. */
export const CONTENT_CASES: readonly SafeModeCase[] = [
  { name: "an empty policy", full: true, rule: "policy.empty", files: () => signedPolicy("") },
  {
    name: "a policy of 257 KiB",
    full: true,
    rule: "policy.size",
    files: async () => {
      const policy = await defaultPolicy();
      return await signedPolicy(`${policy}${"#".repeat(257 * 1024 - policy.length)}`);
    },
  },
  {
    name: "a policy that is not UTF-8",
    full: true,
    rule: "toml.utf8",
    files: () => withBytes("one small", [0xff]),
  },
  {
    name: "a NUL in a string",
    full: true,
    rule: "toml.nul",
    files: () => withBytes("panic=", [0]),
  },
  {
    name: "an unknown key at the top",
    full: true,
    rule: "schema.unknown_key",
    files: () => changed("serial = 1", "serial = 1\nsurprise = true"),
  },
  {
    // The boot test of the recovery shell begins with it.
    name: "an unknown key in a table",
    full: true,
    rule: "schema.unknown_key",
    files: () => changed("cpus = 1", "cpus = 1\nsurprise = true"),
  },
  {
    name: "an unknown key in an array of tables",
    full: true,
    rule: "schema.unknown_key",
    files: () =>
      extended(
        `\n[[linux.storage.shares]]\ntag = "a"\npath = "vm/linux/${GUEST}/share"\nsurprise = true\n`,
      ),
  },
  {
    name: "version = 1",
    full: true,
    rule: "meaning.version",
    files: () => changed("version = 0", "version = 1"),
  },
  {
    name: 'version = "0"',
    full: true,
    rule: "schema.type",
    files: () => changed("version = 0", 'version = "0"'),
  },
  {
    name: "a date that does not exist",
    full: true,
    rule: "toml.syntax",
    files: () => changed("serial = 1", "serial = 2026-02-30"),
  },
  {
    name: "another host's policy",
    full: true,
    rule: "meaning.hosts",
    files: () => changed("serial = 1", 'serial = 1\nhosts = ["another-host"]'),
  },
];

/** A registry with the good guest's record, and that text around it. */
function registry(text: (record: string) => string): () => Promise<DiskFiles> {
  const record = JSON.stringify({
    vm_id: GUEST,
    kind: "linux",
    profile: "linux",
    uuid: "5d3e4a9e-5c6b-4a57-9c07-3f0f5bb0a001",
    slot: 0,
    state: "stopped",
    storage: { disks: { root: { path: `vm/linux/${GUEST}/rootfs.ext4` } } },
    devices: { vcpus: 1, memory_mib: 256 },
  });
  return () => Promise.resolve({ "vm/registry.json": text(`"${GUEST}": ${record}`) });
}

/** What is wrong around the policy: signature, registry, command line. */
export const OTHER_CASES: readonly SafeModeCase[] = [
  {
    name: "an unknown rayos.* key",
    full: true,
    rule: "cmdline.surprise",
    append: "rayos.surprise=1",
  },
  { name: "a bad value", full: true, rule: "cmdline.mode", append: "rayos.mode=careless" },
  {
    name: "no policy",
    full: true,
    rule: "policy.missing",
    files: () => Promise.resolve({ [POLICY_PATH]: null, [SIGNATURE_PATH]: null }),
  },
  {
    name: "an unsigned policy",
    full: true,
    rule: "sig.missing",
    files: () => Promise.resolve({ [SIGNATURE_PATH]: null }),
  },
  {
    name: "a policy signed by an unknown key",
    rule: "sig.unknown_key",
    files: async () => {
      const policy = bytesOf(await defaultPolicy());
      const { secretKey } = generateKeyPair((count) =>
        crypto.getRandomValues(new Uint8Array(count))
      );
      return policyFiles(policy, signDetached(policy, secretKey, { trustedComment: "unknown" }));
    },
  },
  {
    name: "the signature of another file",
    full: true,
    rule: "sig.mismatch",
    files: async () => ({
      [SIGNATURE_PATH]: await signWith(DEVELOPER_KEY, bytesOf("version = 0\n")),
    }),
  },
  {
    name: "an altered trusted comment",
    full: true,
    rule: "sig.comment",
    files: async () => {
      const policy = bytesOf(await defaultPolicy());
      const signature = await signWith(DEVELOPER_KEY, policy);
      return { [SIGNATURE_PATH]: signature.replace("rayos developer", "rayos developed") };
    },
  },
  {
    name: "one byte changed after signing",
    rule: "sig.mismatch",
    files: async () => {
      const policy = await defaultPolicy();
      const signature = await signWith(DEVELOPER_KEY, bytesOf(policy));
      return policyFiles(policy.replace("mem_mib = 256", "mem_mib = 257"), signature);
    },
  },
  {
    name: "a truncated registry",
    full: true,
    rule: "registry.syntax",
    files: registry((record) => `{"version": 0, "vms": {${record}`),
  },
  {
    name: "a registry with a duplicate key",
    full: true,
    rule: "registry.duplicate_key",
    files: registry((record) => `{"version": 0, "vms": {${record}, ${record}}}\n`),
  },
  {
    name: "a registry of another version",
    full: true,
    rule: "registry.version",
    files: registry((record) => `{"version": 1, "vms": {${record}}}\n`),
  },
];
