/**
 * What a policy gives, taken apart into the smallest things that can be said and compared: one
 * sentence each, the key it comes from, and how much it gives. `explain` and `diff` speak the same
 * words because both speak these. It decides nothing: `authorize` does.
 */
import { VM_ID_SLOT } from "./policy.ts";
import type { Policy, Profile } from "./policy.ts";
import type { TomlPath } from "./toml.ts";

/**
 * How much is given. `level`: more is more, 0 is nothing. `set`: each element is something given;
 * "all" is everything. `none`: it gives nobody anything, so it neither widens nor narrows.
 */
export type Amount =
  | { readonly level: number }
  | { readonly set: readonly string[] | "all" }
  | { readonly none: string };

/** One thing that a policy says. */
export interface Facet {
  /** Null: the host as a whole; else the profile's name. */
  readonly profile: string | null;
  /** What it is called among the facets of its profile. */
  readonly id: string;
  /** Keys that say it, the one that wins first; none of them in the document: a default. */
  readonly paths: readonly TomlPath[];
  /** Such a key says it only with this value; absent: with any. */
  readonly value?: boolean;
  readonly says: string;
  readonly amount: Amount;
}

/** All that a policy says. A profile that is not enabled says only that. */
export function facetsOf(policy: Policy): Facet[] {
  return [...hostFacets(policy), ...[...policy.profiles.values()].flatMap(profileFacets)];
}

type Said = readonly [
  id: string,
  paths: readonly TomlPath[],
  says: string,
  amount: Amount,
  value?: boolean,
];

const level = (of: number | boolean): Amount => ({ level: Number(of) });
const only = (...set: string[]): Amount => ({ set });

const LOG_LEVELS = ["error", "warn", "info", "debug", "trace"];

function hostFacets(policy: Policy): Facet[] {
  const { hosts, limits, logging, network, presentation, security, serial } = policy;
  const said: Said[] = [
    ["serial", [["serial"]], serialSays(serial), level(serial === null)],
    [
      "hosts",
      [["hosts"]],
      hosts === null ? "It is for any host." : `It is for ${list(hosts)} alone.`,
      { set: hosts === null ? "all" : hosts.map((one) => one.toLowerCase()) },
    ],
    [
      "limits.cpu_percent",
      [["limits", "cpu_percent"]],
      `All guests together use at most ${limits.cpuPercent} % of the CPUs.`,
      level(limits.cpuPercent),
    ],
    [
      "limits.mem_mib",
      [["limits", "mem_mib"]],
      limits.memMib === null
        ? "All guests together have at most three quarters of the host's memory."
        : `All guests together have at most ${limits.memMib} MiB of memory.`,
      // How much three quarters are depends on the host, so the two cannot be compared on a desk.
      limits.memMib === null ? only("three quarters") : level(limits.memMib),
    ],
    [
      "limits.vms",
      [["limits", "vms"]],
      `At most ${count(limits.vms, "guest runs", "guests run")} at once.`,
      level(limits.vms),
    ],
    [
      "logging.level",
      [["logging", "level"]],
      `The log has ${list(LOG_LEVELS.slice(0, LOG_LEVELS.indexOf(logging.level) + 1))}.`,
      { none: logging.level },
    ],
    [
      "logging.persist",
      [["logging", "persist"]],
      logging.persist ? "The log is kept on RayOS Data." : "The log is not kept.",
      { none: String(logging.persist) },
    ],
    [
      "logging.input",
      [["logging", "input"]],
      logging.input === "full" ? "What is typed is logged." : "What is typed is not logged.",
      level(logging.input === "full"),
    ],
    [
      "security.virtualization",
      [["security", "virtualization"]],
      security.virtualization === "required"
        ? "No guest runs without hardware virtualization."
        : "Guests run emulated where there is no hardware virtualization.",
      level(security.virtualization === "emulated_ok"),
    ],
    [
      "security.measure",
      [["security", "measure"]],
      {
        required: "The boot is measured into a TPM, or no guest starts.",
        if_available: "The boot is measured where there is a TPM.",
        off: "The boot is not measured.",
      }[security.measure],
      level({ required: 0, if_available: 1, off: 2 }[security.measure]),
    ],
    [
      "security.guest_agent",
      [["security", "guest_agent"]],
      security.guestAgent
        ? "Each guest has a serial port on which its agent says that it is up."
        : "No guest has a port for an agent; nobody knows when one is up.",
      level(security.guestAgent),
    ],
    [
      "presentation.attention",
      [["presentation", "attention"]],
      `${presentation.attention} always belongs to the host.`,
      { none: presentation.attention },
    ],
    [
      "presentation.allow",
      [["presentation", "allow"]],
      presentation.allow.length === 0
        ? "Nobody may present or hide a guest."
        : `${list(presentation.allow)} may present and hide guests.`,
      only(...presentation.allow),
    ],
    [
      "recovery.passphrase",
      [["recovery", "passphrase"]],
      policy.recoveryPassphrase === null
        ? "The recovery shell only reads."
        : "A passphrase opens the recovery shell for writing.",
      only(...policy.recoveryPassphrase === null ? [] : [policy.recoveryPassphrase]),
    ],
    [
      "network.resolver",
      [["network", "resolver"]],
      `A guest with a network asks ${network.resolver ?? "the uplink's resolver"} for names.`,
      only(network.resolver ?? "uplink"),
    ],
    [
      "network.allow_private",
      [["network", "allow_private"]],
      network.allowPrivate.length === 0
        ? "No guest reaches a private network."
        : `A guest with a network reaches the private ${
          network.allowPrivate.length === 1 ? "network" : "networks"
        } ${list(network.allowPrivate)}.`,
      only(...network.allowPrivate),
    ],
  ];
  return said.map(([id, paths, says, amount]) => ({ profile: null, id, paths, says, amount }));
}

function serialSays(serial: number | null): string {
  return serial === null
    ? "It has no serial, so an older policy can be put back."
    : `Its serial is ${serial}; a policy with a lower one is refused from then on.`;
}

function profileFacets(profile: Profile): Facet[] {
  const at = (...keys: (string | number)[]): TomlPath => [...profile.tomlPath.split("."), ...keys];
  const guest = profile.vmId ?? "each guest whose record names it";
  const enabled: Said = [
    "enabled",
    [at("enabled")],
    profile.enabled ? `A ${profile.kind} guest may run: ${guest}.` : "Its guest may not run.",
    level(profile.enabled),
  ];
  const said = profile.enabled ? [enabled, ...enabledFacets(profile, at)] : [enabled];
  return said.map(([id, paths, says, amount, value]) => ({
    profile: profile.name,
    id,
    paths,
    says,
    amount,
    ...value === undefined ? {} : { value },
  }));
}

/** The place of a key of a profile. */
type At = (...keys: (string | number)[]) => TomlPath;
/** A path of the policy as the guest has it, where there is one guest. */
type Path = (text: string) => string;

function enabledFacets(profile: Profile, at: At): Said[] {
  const path = (text: string) =>
    profile.vmId === null ? text : text.replaceAll(VM_ID_SLOT, profile.vmId);
  return [
    [
      "vm_id",
      [at("vm_id")],
      `Its name is ${profile.vmId ?? "its record's"}.`,
      only(profile.vmId ?? "any"),
    ],
    [
      "autoboot",
      [at("autoboot"), ...profile.autoboot ? [] : [["defaults", "autoboot_vms"]]],
      profile.autoboot ? "It starts at boot." : "It does not start at boot.",
      level(profile.autoboot),
      profile.autoboot,
    ],
    [
      "present_on_boot",
      [at("present_on_boot"), ["defaults", "present_on_boot"]],
      profile.presentOnBoot ? "It is presented at boot." : "It is not presented at boot.",
      level(profile.presentOnBoot),
    ],
    [
      "networking",
      [at("networking"), ["defaults", "networking"]],
      {
        off: "It has no network.",
        on: "It has a network.",
        provisioning_only: `It has a network until it is set up, for at most ${
          count(profile.provisioningMinutes, "minute", "minutes")
        }, and never after.`,
      }[profile.networking],
      level(
        { off: 0, provisioning_only: profile.provisioningMinutes, on: Infinity }[
          profile.networking
        ],
      ),
    ],
    [
      "on_shutdown",
      [at("on_shutdown")],
      profile.onShutdown === "suspend"
        ? "It is suspended when the host ends."
        : "It is shut down when the host ends.",
      { none: profile.onShutdown },
    ],
    ...limitFacets(profile, at),
    ...storageFacets(profile, at, path),
    ...shareFacets(profile, at, path),
    ...bootFacets(profile, at, path),
    ...deviceFacets(profile, at),
  ];
}

function limitFacets({ limits }: Profile, at: At): Said[] {
  return [
    [
      "limits.cpus",
      [at("limits", "cpus")],
      `It has at most ${count(limits.cpus, "CPU", "CPUs")}.`,
      level(limits.cpus),
    ],
    [
      "limits.mem_mib",
      [at("limits", "mem_mib")],
      `It has at most ${limits.memMib} MiB of memory.`,
      level(limits.memMib),
    ],
    [
      "limits.io_mib_s",
      [at("limits", "io_mib_s")],
      limits.ioMibS === null
        ? "Its disks have no limit of bandwidth."
        : `Its disks move at most ${limits.ioMibS} MiB a second.`,
      level(limits.ioMibS ?? Infinity),
    ],
    [
      "limits.console_kib_s",
      [at("limits", "console_kib_s")],
      `Its console is logged at no more than ${limits.consoleKibS} KiB a second.`,
      level(limits.consoleKibS),
    ],
  ];
}

function storageFacets({ kind, storage }: Profile, at: At, path: Path): Said[] {
  const { windows } = storage;
  const diskKey = kind === "linux" ? "root_disk" : "disk";
  return [
    [
      "storage.disk",
      [at("storage", diskKey)],
      storage.disk.explicit
        ? `Its disk is ${path(storage.disk.path)} and no other file.`
        : `Its disk is ${
          path(storage.disk.path)
        }, or a file of its own folder that its record names.`,
      only(path(storage.disk.path), ...storage.disk.explicit ? [] : ["its folder"]),
    ],
    [
      "storage.bus",
      [at("storage", "bus")],
      storage.bus === "ahci" ? "Its disks may be on AHCI." : "Its disks are on virtio.",
      level(storage.bus === "ahci"),
    ],
    ...windows === null ? [] : ([
      ["ovmf_vars", windows.ovmfVars.path, "firmware variables are"],
      ["vtpm_state_dir", windows.vtpmStateDir.path, "TPM state is"],
    ] as const).map(([key, file, what]): Said => [
      `storage.${key}`,
      [at("storage", key)],
      `Its ${what} in ${path(file)}.`,
      only(path(file)),
    ]),
  ];
}

function bootFacets({ boot, storage: { windows } }: Profile, at: At, path: Path): Said[] {
  return [
    [
      "boot",
      [at("boot", "kernel")],
      boot === null
        ? "It boots from its disk, or from the kernel that its record names."
        : `It boots the kernel ${path(boot.kernel)}${
          boot.initrd === null ? "" : ` with ${path(boot.initrd)}`
        } and no other.`,
      only(...boot === null ? ["its record's"] : [path(boot.kernel), path(boot.initrd ?? "none")]),
    ],
    ...windows === null ? [] : [
      [
        "boot.secure_boot",
        [at("boot", "secure_boot")],
        windows.secureBoot
          ? "Its firmware starts from a disk only what Microsoft's keys signed."
          : "Its firmware asks for no signature.",
        level(!windows.secureBoot),
      ] satisfies Said,
    ],
    ...boot === null ? [] : [
      [
        "boot.cmdline",
        [at("boot", "cmdline")],
        boot.cmdline === ""
          ? "Its kernel's command line is empty."
          : `Its kernel's command line is ${JSON.stringify(boot.cmdline)}.`,
        only(boot.cmdline),
      ] satisfies Said,
    ],
  ];
}

function deviceFacets({ devices }: Profile, at: At): Said[] {
  return [
    [
      "devices.input",
      [at("devices", "input")],
      devices.input ? "It gets keyboard and pointer while it is presented." : "It gets no input.",
      level(devices.input),
    ],
    [
      "devices.gpu",
      [at("devices", "gpu")],
      devices.gpu === "virtio"
        ? "It has a virtio graphics adapter."
        : "It has no graphics adapter.",
      level(devices.gpu === "virtio"),
    ],
    [
      "devices.vtpm",
      [at("devices", "vtpm")],
      devices.vtpm ? "It has a TPM of its own." : "It has no TPM.",
      level(devices.vtpm),
    ],
  ];
}

function shareFacets({ storage: { shares } }: Profile, at: At, path: Path): Said[] {
  if (shares.length === 0) {
    return [["shares", [at("storage", "shares")], "It sees no folder.", only()]];
  }
  return shares.flatMap((share, index): Said[] => {
    const key = (...keys: string[]) => at("storage", "shares", index, ...keys);
    return [
      [
        `share ${share.tag}`,
        [key("path")],
        `It reads the folder ${path(share.path)} as ${share.tag}.`,
        only(path(share.path)),
      ],
      [
        `share ${share.tag} writing`,
        [key("read_only")],
        share.readOnly ? `It cannot write to ${share.tag}.` : `It writes to ${share.tag}.`,
        level(!share.readOnly),
      ],
      ...share.readOnly ? [] : [
        [
          `share ${share.tag} quota`,
          [key("quota_mib")],
          `${share.tag} holds at most ${share.quotaMib} MiB.`,
          level(share.quotaMib),
        ] satisfies Said,
      ],
    ];
  });
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function count(number: number, single: string, several: string): string {
  return `${number} ${number === 1 ? single : several}`;
}
