/**
 * The rules of sense in one table: what no schema can say of a policy, since it is about what its
 * keys, or the policy and the machine, mean to each other. The reference is rendered from it.
 */

export const MEANING_RULES = {
  "meaning.version": "The document is of a version that this program knows: 0.",
  "meaning.hosts": "The policy is for this host, or for any.",
  "meaning.vm_id_missing": "An enabled `linux` or `windows` profile names its guest.",
  "meaning.vm_id_twice": "`linux` and `windows` name two guests.",
  "meaning.profile_name": "No profile under `profiles` is called `linux` or `windows`.",
  "meaning.windows_vtpm": "An enabled windows profile has `devices.vtpm = true`.",
  "meaning.device_none":
    "No guest has USB, passthrough, 9p, audio or a memory balloon: version 0 has none of them.",
  "meaning.provisioning_minutes":
    '`provisioning_minutes` stands only beside `networking = "provisioning_only"`.',
  "meaning.boot_without_kernel":
    "`boot.initrd` and `boot.cmdline` stand only beside `boot.kernel`.",
  "meaning.share_tag_twice": "Each share of a profile has a tag of its own.",
  "meaning.path_for_all": "A path of a profile for several guests has `{vm_id}` in it.",
  "meaning.limit_above_whole": "No enabled profile has more memory than all guests together.",
  "meaning.limits_above_whole":
    "The enabled profiles that can run at once have no more memory than all guests together.",
  "meaning.file_twice": "A profile names no file or folder twice, nor one inside the other.",
  "meaning.private_network":
    "A network of `network.allow_private` lies in 10/8, 100.64/10, 172.16/12 or 192.168/16.",
  "meaning.twice": "`presentation.allow` has each word once.",
  "meaning.profile_unused":
    "A profile under `profiles` is named by a record of the registry (a warning).",
  "path.empty": "A path is not empty.",
  "path.nul": "A path has no NUL.",
  "path.absolute": "A path is relative to the data root.",
  "path.escape": "A path has no part `..`.",
  "path.length": "A path has at most 255 bytes, with the guest's name in place of `{vm_id}`.",
  "path.form": "A path is made of parts of `A-Z a-z 0-9 . _ -`, joined by single slashes.",
  "path.foreign":
    "A path lies in its own guest's folder or the older layout's, is none that the host keeps for " +
    "itself, and is named by no other guest.",
  "serial.missing": "A policy has a serial once one with a serial was accepted.",
  "serial.below_image": "The serial is at least the image's lowest.",
  "serial.rollback": "The serial is at least the highest that was accepted before.",
  "serial.reused": "The same serial means the same bytes.",
  "serial.none": "The policy has a serial (a warning).",
} as const satisfies Record<string, string>;

export type MeaningRule = keyof typeof MEANING_RULES;
