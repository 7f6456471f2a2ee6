/**
 * What `ray doctor` says of a host, as rows: pure functions from what was found to what holds, what does not,
 * and how each is mended. `bad`: the host does not do what it is for, or not as safely as it should.
 * `note`: it does, and a person should know.
 */

import * as v from "valibot";

export interface DoctorRow {
  readonly area:
    | "host"
    | "disk"
    | "keys"
    | "policy"
    | "guests"
    | "kernel"
    | "tpm"
    | "time"
    | "hardening"
    | "permissions";
  readonly holds: "ok" | "note" | "bad";
  readonly found: string;
  /** Empty where nothing is to be done. */
  readonly fix: string;
}

const STATUS = v.looseObject({
  mode: v.string(),
  ready: v.boolean(),
  version: v.string(),
  profile: v.optional(v.string(), "unknown"),
  developer: v.optional(v.boolean(), false),
  virtualization: v.string(),
  measured: v.optional(v.boolean(), false),
  data: v.nullable(v.string()),
  data_free_bytes: v.optional(v.nullable(v.number()), null),
  data_size_bytes: v.optional(v.nullable(v.number()), null),
  time_trusted: v.optional(v.boolean(), false),
  recovery_passphrase: v.optional(v.boolean(), false),
  policy: v.nullable(
    v.looseObject({ serial: v.nullable(v.number()), key: v.nullable(v.string()) }),
  ),
  troubles: v.array(v.looseObject({ code: v.string(), text: v.string(), hint: v.string() })),
  guests: v.array(v.looseObject({
    vm: v.string(),
    state: v.string(),
    violations: v.array(v.string()),
  })),
});
export type DoctorStatus = v.InferOutput<typeof STATUS>;

const KEYS = v.array(v.looseObject({
  file: v.string(),
  purpose: v.nullable(v.string()),
  key: v.nullable(v.string()),
  trusted: v.boolean(),
  why: v.optional(v.nullable(v.string()), null),
}));
const CRASHES = v.array(v.looseObject({ boot: v.string(), cause: v.string() }));

const ok = (area: DoctorRow["area"], found: string): DoctorRow => ({
  area,
  holds: "ok",
  found,
  fix: "",
});
const bad = (area: DoctorRow["area"], found: string, fix: string): DoctorRow => ({
  area,
  holds: "bad",
  found,
  fix,
});
const note = (area: DoctorRow["area"], found: string, fix: string): DoctorRow => ({
  area,
  holds: "note",
  found,
  fix,
});

/** A host that cannot be asked. */
export function unreachable(why: string): DoctorRow[] {
  return [
    bad(
      "host",
      `it does not answer: ${why}`,
      "look at its console; this command asks the host it runs on",
    ),
  ];
}

/** What the host says of itself. */
export function statusRows(result: unknown): DoctorRow[] {
  const parsed = v.safeParse(STATUS, result);
  if (!parsed.success) {
    return [bad("host", "it answers in another shape", "use the `ray` of the image that runs")];
  }
  const status = parsed.output;
  return [
    ...hostRows(status),
    ...diskRows(status),
    ...policyRows(status),
    ...guestRows(status),
    status.virtualization === "kvm"
      ? ok("kernel", "hardware virtualization can be used")
      : bad("kernel", "no usable /dev/kvm", "switch VT-x or AMD-V on in the firmware"),
    status.measured ? ok("tpm", "this boot is measured") : note(
      "tpm",
      "this boot is not measured into a TPM",
      "switch the TPM on in the firmware; security.measure says whether guests start without",
    ),
    status.time_trusted ? ok("time", "the wall clock can be believed") : note(
      "time",
      "the wall clock is not believed; lines have mono:",
      "set the firmware's clock, then reboot",
    ),
  ];
}

function hostRows(status: DoctorStatus): DoctorRow[] {
  const rows: DoctorRow[] = [];
  if (status.mode === "normal") rows.push(ok("host", `version ${status.version}, normal mode`));
  else {
    const fix = status.mode === "recovery"
      ? "boot without rayos.mode=recovery"
      : "mend what is listed below, then `retry` at the console";
    rows.push(bad("host", `${status.mode} mode: no guest is started`, fix));
  }
  if (!status.ready) {
    rows.push(
      bad(
        "host",
        "it is not ready yet",
        "wait; after rayos.ready_timeout it says what it waits for",
      ),
    );
  }
  rows.push(...status.troubles.map((one) => bad("host", `${one.code}: ${one.text}`, one.hint)));
  if (status.developer) {
    rows.push(note("host", "developer mode: unsigned policies count", "boot without rayos.dev=1"));
  }
  if (status.profile === "developer") {
    rows.push(note("host", "an image of profile developer", "run an image of profile release"));
  }
  return rows;
}

/** Guests cannot use up what the host needs; below this share a person should look (as `data_low`). */
const LOW_SHARE = 0.1;

function diskRows(
  { data, data_free_bytes: free, data_size_bytes: size }: DoctorStatus,
): DoctorRow[] {
  if (data === null || data === "tmpfs") {
    return [
      bad(
        "disk",
        "RayOS Data lives in memory: nothing is kept",
        "attach the disk, or see rayos.data=",
      ),
    ];
  }
  if (free === null || size === null || size === 0) return [ok("disk", `RayOS Data is ${data}`)];
  const mib = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`;
  const text = `RayOS Data is ${data}, ${mib(free)} of ${mib(size)} free`;
  return free < size * LOW_SHARE
    ? [bad("disk", text, "remove backups, states set aside or exported disks that nobody needs")]
    : [ok("disk", text)];
}

function policyRows({ policy, recovery_passphrase: passphrase }: DoctorStatus): DoctorRow[] {
  if (policy === null) {
    return [
      bad("policy", "none is in force", "see the host's rows; `ray policy check FILE` on a desk"),
    ];
  }
  const rows = [ok("policy", `in force, serial ${policy.serial ?? "none"}`)];
  if (policy.key === null) {
    rows.push(bad("policy", "it is not signed", "`ray policy sign`, then install it"));
  }
  if (policy.serial === null) {
    rows.push(
      note("policy", "no serial: an older one could be put back", "give it serial = 1 and sign it"),
    );
  }
  if (!passphrase) {
    rows.push(note(
      "policy",
      "no recovery passphrase: a release image's recovery shell only looks",
      "`ray policy passphrase` makes one for the policy",
    ));
  }
  return rows;
}

function guestRows({ guests }: DoctorStatus): DoctorRow[] {
  const failed = guests.filter((one) => one.state === "failed");
  if (failed.length === 0) return [ok("guests", `${guests.length} defined, none failed`)];
  return failed.map(({ vm, violations }) => {
    const why = violations.length === 0 ? "its machine ended" : violations.join(", ");
    return bad(
      "guests",
      `${vm} failed: ${why}`,
      `\`ray vm show ${vm}\` and \`ray logs --vm ${vm}\``,
    );
  });
}

/** Whose signatures count. */
export function keyRows(result: unknown): DoctorRow[] {
  const parsed = v.safeParse(KEYS, result);
  if (!parsed.success) return [];
  const keys = parsed.output;
  const trusted = keys.filter((one) => one.trusted && one.purpose === "policy").length;
  const rows = trusted > 0
    ? [ok("keys", `${trusted} trusted for policies`)]
    : [bad("keys", "none is trusted for policies", "build an image with a key in /etc/rayos/keys")];
  for (const one of keys.filter((key) => !key.trusted)) {
    rows.push(
      note("keys", `${one.file}: ${one.why ?? "not trusted"}`, "leave it out of the next image"),
    );
  }
  return rows;
}

const CHECKED = v.looseObject({
  holds: v.boolean(),
  issues: v.array(v.looseObject({ rule: v.string(), severity: v.string(), hint: v.string() })),
});

/** A file as it lies on the disk now, with which the next boot begins; what is in force came from an earlier one. */
export function nextBootRows(
  area: "policy" | "guests",
  name: string,
  result: unknown,
): DoctorRow[] {
  const parsed = v.safeParse(CHECKED, result);
  if (!parsed.success) return unreachable("the host answered in another shape");
  const { holds, issues } = parsed.output;
  if (holds) return [ok(area, `${name} on the disk holds`)];
  const [first] = issues.filter((one) => one.severity === "error");
  const why = `${name} on the disk does not hold (${first?.rule ?? "unknown"})`;
  return [bad(area, `${why}: the next boot would be safe mode`, first?.hint || "restore it")];
}

/** Ends that should not have been. */
export function crashRows(result: unknown): DoctorRow[] {
  const parsed = v.safeParse(CRASHES, result);
  const [last] = parsed.success ? parsed.output : [];
  if (!parsed.success || last === undefined) return [];
  const text = `${parsed.output.length} crash reports, the last one: ${last.cause}`;
  return [note("host", text, `\`ray crash show ${last.boot}\``)];
}

/** What the kernel must have for limits. */
const CONTROLLERS = ["cpu", "memory", "pids", "io"];

/** @param controllers `cgroup.controllers` of the host's own mount; null: it cannot be read here */
export function kernelRows(controllers: string | null): DoctorRow[] {
  if (controllers === null) return [];
  const there = controllers.trim().split(/\s+/);
  const missing = CONTROLLERS.filter((one) => !there.includes(one));
  return missing.length === 0
    ? [ok("kernel", `cgroups limit ${CONTROLLERS.join(", ")}`)]
    : [bad("kernel", `cgroups cannot limit ${missing.join(", ")}`, "use the kernel of the image")];
}
