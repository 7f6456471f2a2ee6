/**
 * The shape of the policy document (contract §3): every key, its type, bounds and default, written
 * once. What keys mean to each other is not said here but in meaning.ts. Built once, at import;
 * `zod/mini` because it runs in a boot.
 */
import * as z from "zod/mini";

/** A whole number within bounds, both included. */
function int(min: number, max: number) {
  return z.int().check(z.minimum(min), z.maximum(max));
}

/** A text of that form; `says` is what a person reads as expected. */
function text(form: RegExp, says: string) {
  return z.string().check(z.regex(form, says));
}

/** More memory or bandwidth than any machine has, so that sums stay exact. */
const MIB_MAX = 2 ** 24;

const bool = z.boolean();
const path = z.string();
const vmIdText = text(
  /^[a-z0-9][a-z0-9-]{0,62}$/,
  "a guest name: a-z 0-9 -, at most 63 characters",
);

const octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const ipv4 = `${octet}(\\.${octet}){3}`;
const address = text(new RegExp(`^${ipv4}$`), "an IPv4 address");
const cidr = text(new RegExp(`^${ipv4}/(3[0-2]|[12]?[0-9])$`), "an IPv4 network as address/bits");
const hostName = text(
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/,
  "a host name",
);
const passphraseHash = text(
  /^\$scrypt\$ln=(1[0-9]|2[0-2]),r=[1-9][0-9]?,p=[1-9][0-9]?\$[A-Za-z0-9+/]{16,86}\$[A-Za-z0-9+/]{43,86}$/,
  "a scrypt hash: $scrypt$ln=…,r=…,p=…$salt$hash",
);
const commandLine = text(
  /^[\x20-\x7e]{0,2048}$/,
  "printable ASCII text of at most 2048 characters",
);
const shareTag = text(/^[A-Za-z0-9._-]{1,36}$/, "1 to 36 of A-Z a-z 0-9 . _ -");

const share = z.strictObject({
  tag: shareTag,
  path,
  read_only: z._default(bool, true),
  quota_mib: z._default(int(1, MIB_MAX), 64),
});

const bus = z._default(z.enum(["virtio", "ahci"]), "virtio");
const shares = z._default(z.array(share).check(z.maxLength(16)), []);
const linuxStorage = z.prefault(
  z.strictObject({ root_disk: z.optional(path), bus, shares }),
  {},
);
const windowsStorage = z.prefault(
  z.strictObject({
    disk: z.optional(path),
    ovmf_vars: z.optional(path),
    vtpm_state_dir: z.optional(path),
    bus,
    shares,
  }),
  {},
);

const bootKeys = {
  kernel: z.optional(path),
  initrd: z.optional(path),
  cmdline: z.optional(commandLine),
};
const linuxBoot = z.prefault(z.strictObject(bootKeys), {});
const windowsBoot = z.prefault(
  z.strictObject({ ...bootKeys, secure_boot: z._default(bool, false) }),
  {},
);

/** What every profile has, whatever its kind. */
const common = {
  enabled: z._default(bool, false),
  autoboot: z._default(bool, false),
  present_on_boot: z.optional(bool),
  networking: z.optional(z.enum(["off", "on", "provisioning_only"])),
  provisioning_minutes: z._default(int(1, 1440), 30),
  on_shutdown: z._default(z.enum(["shutdown", "suspend"]), "shutdown"),
  limits: z.prefault(
    z.strictObject({
      cpus: z._default(int(1, 64), 1),
      mem_mib: z._default(int(32, MIB_MAX), 512),
      io_mib_s: z.optional(int(1, MIB_MAX)),
      console_kib_s: z._default(int(1, 65536), 64),
    }),
    {},
  ),
  devices: z.prefault(
    z.strictObject({
      input: z._default(bool, false),
      gpu: z._default(z.enum(["virtio", "none"]), "none"),
      vtpm: z._default(bool, false),
    }),
    {},
  ),
};
const vm_id = z.optional(vmIdText);

const profileName = text(
  /^[a-z0-9][a-z0-9_-]{0,62}$/,
  "a profile name: a-z 0-9 _ -, at most 63 characters",
);
const namedProfile = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("linux"),
    ...common,
    boot: linuxBoot,
    storage: linuxStorage,
  }),
  z.strictObject({
    kind: z.literal("windows"),
    ...common,
    boot: windowsBoot,
    storage: windowsStorage,
  }),
]);

/** The document as a whole. `version` is judged before, since all else depends on it. */
export const policySchema = z.strictObject({
  version: z.literal(0),
  serial: z.optional(int(1, Number.MAX_SAFE_INTEGER)),
  hosts: z.optional(z.array(hostName).check(z.minLength(1), z.maxLength(256))),
  defaults: z.prefault(
    z.strictObject({
      networking: z._default(z.enum(["off", "on"]), "off"),
      present_on_boot: z._default(bool, false),
      autoboot_vms: z._default(bool, true),
    }),
    {},
  ),
  limits: z.prefault(
    z.strictObject({
      cpu_percent: z._default(int(1, 100), 80),
      mem_mib: z.optional(int(64, MIB_MAX)),
      vms: z._default(int(1, 64), 16),
    }),
    {},
  ),
  logging: z.prefault(
    z.strictObject({
      level: z._default(z.enum(["error", "warn", "info", "debug", "trace"]), "info"),
      persist: z._default(bool, true),
      input: z._default(z.enum(["redacted", "full"]), "redacted"),
    }),
    {},
  ),
  security: z.prefault(
    z.strictObject({
      virtualization: z._default(z.enum(["required", "emulated_ok"]), "required"),
      measure: z._default(z.enum(["if_available", "required", "off"]), "if_available"),
      guest_agent: z._default(bool, true),
    }),
    {},
  ),
  presentation: z.prefault(
    z.strictObject({
      attention: z._default(z.enum(["ctrl+alt+pause", "ctrl+alt+end"]), "ctrl+alt+pause"),
      allow: z._default(z.array(z.enum(["console", "socket"])).check(z.maxLength(2)), [
        "console",
        "socket",
      ]),
    }),
    {},
  ),
  recovery: z.prefault(z.strictObject({ passphrase: z.optional(passphraseHash) }), {}),
  network: z.prefault(
    z.strictObject({
      resolver: z.optional(address),
      allow_private: z._default(z.array(cidr).check(z.maxLength(64)), []),
    }),
    {},
  ),
  linux: z.optional(z.strictObject({ ...common, vm_id, boot: linuxBoot, storage: linuxStorage })),
  windows: z.optional(
    z.strictObject({ ...common, vm_id, boot: windowsBoot, storage: windowsStorage }),
  ),
  profiles: z._default(z.record(profileName, namedProfile), {}),
});

/** Most profiles under `profiles`. */
export const MAX_PROFILES = 64;

/** A document that has the shape, with its own defaults in place. */
export type PolicyDocument = z.output<typeof policySchema>;
export type NamedProfileDocument = PolicyDocument["profiles"][string];
export type LinuxDocument = NonNullable<PolicyDocument["linux"]>;
export type WindowsDocument = NonNullable<PolicyDocument["windows"]>;
