/**
 * What the keys of a policy mean to each other: faults of sense that no schema can say, each with
 * its place, all at once. It judges a document by itself; hosts and serials, which depend on the
 * machine, come after it.
 */
import { type DataPath, overlaps, ownedBy, type PathFault } from "../data_path.ts";
import type { VmId } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { liesIn, rangeOf } from "./ipv4_range.ts";
import type { MeaningRule } from "./meaning_rules.ts";
import { fillPath, VM_ID_SLOT } from "./policy.ts";
import { type NamedPath, networkingOf, pathsOf, type ProfileEntry, profilesOf } from "./resolve.ts";
import type { PolicyDocument } from "./schema.ts";
import { showPath, type TomlDocument, type TomlPath } from "./toml.ts";

/** Stands for any guest's name: as long as one may be, so that no path grows too long later. */
const ANY_GUEST = `any${"-guest".repeat(10)}` as VmId;

/** A finding at a path, and the other keys that it rests on. */
type Report = (
  rule: MeaningRule | PathFault["rule"],
  path: TomlPath,
  parts: { expected: string; found: string; hint: string },
  rests?: readonly TomlPath[],
) => void;

/**
 * Finds the faults of sense.
 *
 * @param document what is left of the document once its faulty parts are out
 * @param faulty those parts: a finding that rests on one of them is left out
 */
export function checkMeaning(
  toml: TomlDocument,
  document: PolicyDocument,
  faulty: readonly TomlPath[],
): Issue[] {
  const issues: Issue[] = [];
  const report: Report = (rule, path, parts, rests = []) => {
    if ([path, ...rests].some((one) => faulty.some((part) => within(one, part)))) return;
    const { line, column } = toml.valuePlace(path);
    issues.push(issue(rule, { path: showPath(path), line, column, ...parts }));
  };
  const profiles = profilesOf(document);
  for (const entry of profiles) checkProfile(toml, document, entry, report);
  checkLimits(document, profiles, report);
  checkNames(profiles, report);
  checkFiles(profiles, report);
  checkPrivate(document, report);
  if (new Set(document.presentation.allow).size < document.presentation.allow.length) {
    report("meaning.twice", ["presentation", "allow"], {
      expected: "each word once",
      found: document.presentation.allow.join(", "),
      hint: "remove the second one",
    });
  }
  return issues;
}

/** Those of RFC 1918 and RFC 6598: all else is open to guests anyway, or to nobody. */
const PRIVATE = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"];

function checkPrivate(document: PolicyDocument, report: Report): void {
  const ranges = PRIVATE.map(rangeOf);
  document.network.allow_private.forEach((network, index) => {
    if (ranges.some((one) => liesIn(rangeOf(network), one))) return;
    report("meaning.private_network", ["network", "allow_private", index], {
      expected: `a network within ${PRIVATE.join(", ")}`,
      found: network,
      hint: "name the private networks that guests may reach, or none",
    });
  });
}

function checkProfile(
  toml: TomlDocument,
  document: PolicyDocument,
  entry: ProfileEntry,
  report: Report,
): void {
  const own = entry.document;
  const at = (...keys: (string | number)[]): TomlPath => [...entry.path, ...keys];
  if (own.enabled && !entry.named && entry.vmId === null) {
    report("meaning.vm_id_missing", at("vm_id"), {
      expected: "a guest name, since the profile is enabled",
      found: "nothing",
      hint: `add vm_id = "…" to [${showPath(entry.path)}]`,
    });
  }
  if (own.enabled && entry.kind === "windows" && !own.devices.vtpm) {
    report("meaning.windows_vtpm", at("devices", "vtpm"), {
      expected: "true, since the windows profile is enabled",
      found: "false",
      hint: "set devices.vtpm = true, or enabled = false",
    });
  }
  const minutes = at("provisioning_minutes");
  if (toml.has(minutes) && networkingOf(document, own) !== "provisioning_only") {
    report("meaning.provisioning_minutes", minutes, {
      expected: 'networking = "provisioning_only"',
      found: `networking = "${networkingOf(document, own)}"`,
      hint: "remove provisioning_minutes, or set networking",
    }, [at("networking"), ["defaults", "networking"]]);
  }
  for (const key of ["initrd", "cmdline"] as const) {
    if (own.boot[key] !== undefined && own.boot.kernel === undefined) {
      report("meaning.boot_without_kernel", at("boot", key), {
        expected: "boot.kernel beside it",
        found: "no kernel",
        hint: `add boot.kernel, or remove boot.${key}`,
      }, [at("boot", "kernel")]);
    }
  }
  const tags = own.storage.shares.map((share) => share.tag);
  tags.forEach((tag, index) => {
    if (tags.indexOf(tag) === index) return;
    report("meaning.share_tag_twice", at("storage", "shares", index, "tag"), {
      expected: "a tag of its own for each share",
      found: tag,
      hint: "give this share another tag",
    });
  });
  for (const one of pathsOf(entry)) checkPath(entry, one, report);
}

function checkPath(entry: ProfileEntry, one: NamedPath, report: Report): void {
  const path = [...entry.path, ...one.key];
  const hint = "correct the path, then sign the policy again";
  const filled = fillPath(one.template, entry.vmId ?? ANY_GUEST);
  if (!filled.ok) {
    report(filled.rule, path, { expected: filled.expected, found: filled.found, hint });
    return;
  }
  if (entry.named && !one.template.includes(VM_ID_SLOT)) {
    report("meaning.path_for_all", path, {
      expected: `${VM_ID_SLOT} in the path, since several guests may have this profile`,
      found: one.template,
      hint: `put ${VM_ID_SLOT} where the guest's name belongs`,
    });
    return;
  }
  // A profile that is off and names no guest owns nothing that could be compared.
  if (entry.vmId === null && !entry.named) return;
  const owned = ownedBy(filled.path, entry.kind, entry.vmId ?? ANY_GUEST);
  if (owned.ok) return;
  report(owned.rule, path, {
    expected: owned.expected.replaceAll(ANY_GUEST, VM_ID_SLOT),
    found: one.template,
    hint,
  }, [[...entry.path, "vm_id"]]);
}

function checkLimits(
  document: PolicyDocument,
  profiles: readonly ProfileEntry[],
  report: Report,
): void {
  const whole = document.limits.mem_mib;
  const rests: TomlPath[] = [["limits", "mem_mib"], ["limits", "vms"]];
  if (whole === undefined) return;
  for (const entry of profiles) {
    const asked = entry.document.limits.mem_mib;
    if (!entry.document.enabled || asked <= whole) continue;
    report("meaning.limit_above_whole", [...entry.path, "limits", "mem_mib"], {
      expected: `at most limits.mem_mib = ${whole}`,
      found: String(asked),
      hint: "lower it, or raise limits.mem_mib",
    }, rests);
  }
  const together = profiles.filter((entry) => entry.document.enabled && !entry.named)
    .map((entry) => entry.document.limits.mem_mib);
  // There are two at most, so either all of them can run at once or one at a time.
  if (together.length > document.limits.vms) return;
  const sum = together.reduce((total, one) => total + one, 0);
  if (sum <= whole || together.some((one) => one > whole)) return;
  report("meaning.limits_above_whole", ["limits", "mem_mib"], {
    expected: `at least ${sum}, the memory of the enabled profiles together`,
    found: String(whole),
    hint: "raise it, lower the profiles' limits.mem_mib, or set limits.vms = 1",
  }, [...rests, ...profiles.map((entry) => [...entry.path, "limits", "mem_mib"])]);
}

function checkNames(profiles: readonly ProfileEntry[], report: Report): void {
  const [first, second] = profiles.filter((entry) => entry.vmId !== null);
  if (first !== undefined && second !== undefined && first.vmId === second.vmId) {
    report("meaning.vm_id_twice", [...second.path, "vm_id"], {
      expected: "a guest name of its own for each profile",
      found: String(second.vmId),
      hint: "give one of the two another name",
    }, [[...first.path, "vm_id"]]);
  }
  for (const entry of profiles) {
    if (!entry.named || (entry.name !== "linux" && entry.name !== "windows")) continue;
    report("meaning.profile_name", entry.path, {
      expected: "a name other than linux and windows, which are tables of their own",
      found: entry.name,
      hint: `call it otherwise, or write it as [${entry.name}]`,
    });
  }
}

/** Files of one guest, or of the two that have tables of their own, that are one or nested. */
function checkFiles(profiles: readonly ProfileEntry[], report: Report): void {
  const groups = [
    profiles.filter((entry) => !entry.named),
    ...profiles.filter((entry) => entry.named).map((entry) => [entry]),
  ];
  for (const group of groups) {
    const files = group.flatMap((entry) =>
      pathsOf(entry).flatMap((one): { path: DataPath; key: TomlPath; of: string }[] => {
        const filled = fillPath(one.template, entry.vmId ?? `unnamed-${entry.kind}` as VmId);
        return filled.ok
          ? [{ path: filled.path, key: [...entry.path, ...one.key], of: entry.name }]
          : [];
      })
    );
    // Sorted with a closing slash, a folder stands right before what lies in it.
    files.sort((a, b) => compare(`${a.path}/`, `${b.path}/`));
    files.forEach((file, index) => {
      const before = files[index - 1];
      if (before === undefined || !overlaps(before.path, file.path)) return;
      report(before.of === file.of ? "meaning.file_twice" : "path.foreign", file.key, {
        expected: `a file or folder apart from ${showPath(before.key)}`,
        found: file.path,
        hint: "give each its own file",
      }, [before.key]);
    });
  }
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function within(path: TomlPath, part: TomlPath): boolean {
  return part.every((key, index) => key === path[index]);
}
