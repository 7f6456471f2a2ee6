/**
 * `ray audit verify|show|head|prepare`: the audit log read back, from the running host over its control
 * socket, or from a folder, as on the machine on which the verification key is kept. It changes no log.
 */

import { buildCommand, buildRouteMap } from "@stricli/core";
import * as v from "valibot";
import { KEY_BYTES } from "../audit/chain.ts";
import { preparedState } from "../audit/audit_log.ts";
import { decodeKeyState, KEY_STATE_BYTES } from "../audit/key_state.ts";
import {
  type Filter,
  type Folder,
  matching,
  partsIn,
  readHead,
  reportText,
} from "../audit/reader.ts";
import { keyText, readKeyText } from "../audit/verification_key.ts";
import { type AuditReport, verifyLog } from "../audit/verify.ts";
import { escapeUnsafe } from "../escape.ts";
import { Fault } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag, one, optionalText } from "./flags.ts";
import { hostCommand } from "./host_commands.ts";
import type { CommandResult } from "./policy_result.ts";

/** Where the key state lies, as seen from the log's folder. */
const STATE_BESIDE = "../../boot/audit.key";
const OWN_FOLDER = `${PATHS.dataRoot}/logs/audit`;

const folderArgument = {
  kind: "tuple",
  parameters: [{
    parse: (text: string) => text,
    placeholder: "DIR",
    brief: "a log's folder; the running host's where not given",
    optional: true,
  }],
} as const;

interface Verify extends Json {
  readonly key?: string;
  readonly "key-file"?: string;
  readonly head?: string;
  readonly state?: string;
}

const REPORT = v.looseObject({
  ok: v.boolean(),
  anchor: v.picklist(["key", "head", "tpm", "none"]),
  files: v.number(),
  records: v.number(),
  first: v.nullable(v.number()),
  last: v.nullable(v.number()),
  lastTime: v.nullable(v.string()),
  head: v.nullable(v.object({ seq: v.number(), hash: v.string() })),
  bad: v.nullable(v.looseObject({
    file: v.string(),
    line: v.nullable(v.number()),
    seq: v.nullable(v.number()),
    rule: v.string(),
    what: v.string(),
  })),
  sealedAfter: v.number(),
  notes: v.array(v.string()),
});

const verify = buildCommand<Verify, [string?], CliContext>({
  docs: docs(
    "Whether the audit log is whole, and what that rests on",
    "ray audit verify",
    "ray audit verify /mnt/logs/audit --key-file verification-key.txt",
    "ray audit verify copy/logs/audit --head 4711:9f86d0…",
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      key: optionalText("the verification key, as it was shown; not on the host itself", "KEY"),
      "key-file": optionalText("a file that holds the verification key", "FILE"),
      head: optionalText("what `ray audit head` printed at some time", "HEAD"),
      state: optionalText(`the host's key state, DIR/${STATE_BESIDE} where not given`, "FILE"),
    },
    positional: folderArgument,
  },
  func(flags, folder) {
    return guarded(this, async () => {
      const key = keyOf(this, flags);
      const head = flags.head === undefined ? null : readHead(flags.head);
      if (flags.head !== undefined && head === null) {
        return usage("audit verify", "--head: expected what `ray audit head` prints");
      }
      if (key === "bad") {
        return usage("audit verify", "--key: no verification key; a letter of it is wrong");
      }
      if (folder === undefined && key === null && flags.state === undefined) {
        const args = flags.head === undefined ? {} : { head: flags.head };
        return judged(await hostCommand(this, "audit.verify", args, true, String), flags.json);
      }
      const place = folder ?? OWN_FOLDER;
      const file = flags.state ?? `${place}/${STATE_BESIDE}`;
      const bytes = this.desk.readOptional(file, KEY_STATE_BYTES);
      if (flags.state !== undefined && bytes === null) {
        throw new Fault("cli", "file.unreadable", `${file}: no such file; check the path`);
      }
      const state = bytes === null ? null : decodeKeyState(bytes);
      const report = toEnd(verifyLog(partsIn(folderOf(this), place), { key, head, state }));
      return reported(report, flags.json);
    });
  },
});

/** The key that is given; null: none is. */
function keyOf({ desk }: CliContext, flags: Verify): Uint8Array | "bad" | null {
  const file = flags["key-file"];
  const text = file === undefined ? flags.key : new TextDecoder().decode(desk.read(file, 4096));
  return text === undefined ? null : readKeyText(text) ?? "bad";
}

function folderOf({ host, desk }: CliContext): Folder {
  return {
    list: (path) => host.list(path),
    read: (path, limit) => desk.readOptional(path, limit),
  };
}

function toEnd<T>(work: Generator<void, T>): T {
  while (true) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

function usage(what: string, why: string): CommandResult {
  return { exit: 2, stdout: "", stderr: `rayos: ${what}: ${why}\n` };
}

/** What the host answered, as a result of ours. */
function judged(answer: CommandResult, json: boolean): CommandResult {
  if (answer.exit !== 0) return answer;
  const parsed = v.safeParse(REPORT, JSON.parse(answer.stdout));
  if (parsed.success) return reported(parsed.output, json);
  const stderr = "rayos: audit verify: the host answered in another shape; use --json\n";
  return { exit: 3, stdout: json ? answer.stdout : "", stderr };
}

function reported(report: AuditReport, json: boolean): CommandResult {
  const text = reportText(report).split("\n").map(escapeUnsafe).join("\n");
  const exit = report.ok ? 0 : 1;
  if (json) return { exit, stdout: `${JSON.stringify(report, null, 2)}\n`, stderr: "" };
  return { exit, stdout: text, stderr: "", prose: true };
}

interface Show extends Json {
  readonly vm?: string;
  readonly since?: string;
  readonly rule?: string;
  readonly lines?: string;
}

const show = buildCommand<Show, [string?], CliContext>({
  docs: docs(
    "Records of the audit log, the newest last",
    "ray audit show --vm kiosk-1 --since 2h",
    "ray audit show --rule network --json",
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      vm: optionalText("only about this guest", "ID"),
      since: optionalText("a time (RFC 3339), or how long ago: 30m, 2h, 7d", "TIME"),
      rule: optionalText("a rule, an event, or the first part of one", "RULE"),
      lines: optionalText("how many, 100 where not given, at most 500", "N"),
    },
    positional: folderArgument,
  },
  func(flags, folder) {
    return guarded(this, async () => {
      const since = flags.since === undefined ? null : sinceOf(flags.since, this.desk.now());
      if (flags.since !== undefined && since === null) {
        return usage("audit show", "--since: expected a time (RFC 3339), or 30m, 2h, 7d");
      }
      const limit = flags.lines === undefined ? 100 : Number(flags.lines);
      if (!Number.isInteger(limit) || limit < 1 || limit > 500) {
        return usage("audit show", "--lines: expected a number of 1 to 500");
      }
      const { vm = null, rule = null } = flags;
      if (folder !== undefined) {
        const filter: Filter = { vm, since, rule, limit };
        const found = toEnd(matching(partsIn(folderOf(this), folder), filter));
        const stdout = flags.json ? `${JSON.stringify(found, null, 2)}\n` : renderRecords(found);
        return { exit: 0, stdout, stderr: "" };
      }
      const args = {
        limit,
        ...(vm === null ? {} : { vm }),
        ...(rule === null ? {} : { rule }),
        ...(since === null ? {} : { since: since.toISOString() }),
      };
      return await hostCommand(this, "audit.show", args, flags.json, renderRecords);
    });
  },
});

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `2h` before now, or a time; null where it is neither. */
export function sinceOf(text: string, now: Date): Date | null {
  const ago = text.match(/^(\d{1,6})([mhd])$/);
  if (ago) return new Date(now.getTime() - Number(ago[1]) * (UNITS[ago[2] ?? ""] ?? 0));
  const time = new Date(text);
  return /^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(time.getTime()) ? time : null;
}

const RECORDS = v.array(v.looseObject({
  seq: v.number(),
  time: v.string(),
  event: v.string(),
  data: v.record(v.string(), v.unknown()),
}));

/** One line a record. */
function renderRecords(result: unknown): string {
  const records = v.safeParse(RECORDS, result);
  if (!records.success) {
    return "rayos: audit show: the host answered in another shape; use --json\n";
  }
  if (records.output.length === 0) return "no such record\n";
  return records.output.map(({ seq, time, event, data }) => {
    const fields = Object.entries(data).map(([name, value]) => ` ${name}=${String(value)}`).join(
      "",
    );
    return `${escapeUnsafe(`${seq} ${time} ${event}${fields}`)}\n`;
  }).join("");
}

const head = buildCommand<Json, [string?], CliContext>({
  docs: docs(
    "The log's end as one word; kept elsewhere, it anchors everything up to it",
    "ray audit head",
  ),
  parameters: { flags: { json: jsonFlag }, positional: folderArgument },
  func(flags, folder) {
    return guarded(this, async () => {
      const render = (result: unknown) =>
        `${escapeUnsafe(String((result as { head?: unknown } | null)?.head))}\n`;
      if (folder === undefined) {
        return await hostCommand(this, "audit.show", { head: true }, flags.json, render);
      }
      const last = lastHead(this, folder);
      if (last === null) {
        const stderr = `rayos: audit head: ${folder} holds no record; check the path\n`;
        return { exit: 1, stdout: "", stderr };
      }
      const stdout = flags.json ? `${JSON.stringify({ head: last }, null, 2)}\n` : `${last}\n`;
      return { exit: 0, stdout, stderr: "" };
    });
  },
});

function lastHead(context: CliContext, folder: string): string | null {
  const report = toEnd(
    verifyLog(partsIn(folderOf(context), folder), { key: null, head: null, state: null }),
  );
  return report.head === null ? null : `${report.head.seq}:${report.head.hash}`;
}

const prepare = buildCommand<Json, [string], CliContext>({
  docs: docs(
    "Make the key of a host whose console nobody watches: its key state for boot/audit.key on RayOS Data, " +
      "and the verification key for you",
    "ray audit prepare disk/boot/audit.key",
  ),
  parameters: { flags: { json: jsonFlag }, positional: one("FILE", "the key state to write") },
  func(flags, file) {
    return guarded(this, () => {
      const key = this.desk.random(KEY_BYTES);
      const { bytes, fingerprint } = preparedState(key);
      this.desk.writeSecret(file, bytes);
      const text = keyText(key);
      const stdout = flags.json
        ? `${JSON.stringify({ key: text, fingerprint }, null, 2)}\n`
        : `verification key  ${text}\nfingerprint       ${fingerprint}\n` +
          "Keep the key, and not on the host. The fingerprint may go into the image as\n" +
          "/etc/rayos/audit.fingerprint: the host then says when its disk is another one.\n";
      return { exit: 0, stdout, stderr: "" };
    });
  },
});

export const auditRoutes = buildRouteMap({
  docs: { brief: "The audit log" },
  routes: { verify, show, head, prepare },
});
