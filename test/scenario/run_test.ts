/**
 * Boots on the fake host: each folder beside this file is one scenario, as data (`scenario.json`, and
 * the policy it boots with). The runner says what a machine would, and compares the markers.
 */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { generateKeyPair, signDetached } from "../../src/policy/secret_key.ts";
import { FakeConnection } from "../../src/guest/fake_connection.ts";
import type { LauncherResult } from "../../src/host/port.ts";
import { init } from "../../src/init.ts";
import { jailSpec } from "../../src/jail/spec.ts";
import { type Slot, slotName } from "../../src/id.ts";
import { knownOfBoot, knownOfStart } from "../../src/phase/last_known.ts";
import { GUESTS_CGROUP } from "../../src/permissions.ts";
import { samplePlan } from "../../src/plan/sample_plan.ts";
import { guestSocket, startJail } from "../fake_guests.ts";
import { Exited, FakeHost } from "../fake_host.ts";
import { DATA_DEVICE, jailAsPlanned } from "../fake_jail.ts";
import { turns, until } from "../turns.ts";

interface Scenario {
  /** Words of the kernel command line. */
  readonly cmdline?: string;
  readonly profile?: "developer" | "release";
  readonly kvm?: boolean;
  /** `good` (default), `none`, `unknown_key`, `other_file`. */
  readonly signature?: "good" | "none" | "unknown_key" | "other_file";
  /** Content of vm/registry.json; absent: no such file. */
  readonly registry?: unknown;
  /** Content of policy/state.json. */
  readonly state?: unknown;
  /** Empty files on RayOS Data, e.g. under the name of a file, which is a directory then. */
  readonly litter?: readonly string[];
  /** Records of earlier boots. */
  readonly history?: readonly unknown[];
  /**
   * Answers of launchers, by the words of the call, one after the other with the last one for good; the
   * rest answers as a healthy machine.
   */
  readonly launcher?: Record<string, string | string[]>;
  /** Content of /run/rayos/starts.json. */
  readonly starts?: unknown;
  /** Guests that an earlier start left running: slot, and whose the record of its run says it is. */
  readonly running?: Record<string, string>;
  /** A field of the jail that is weaker than planned: text to replace in the task's status. */
  readonly weaken?: readonly [from: string, to: string];
  /** Lines typed on the console; `@name`: that file of this folder, signed, as `policy paste` takes it. */
  readonly typed?: readonly string[];
  /** Files put on RayOS Data after the boot, from this folder; `.toml` files are signed. */
  readonly bring?: Record<string, string>;
  /** Requests of one client of the control socket after the boot, and what each answer must match. */
  readonly control?: Requests;
  /** The same of a client that comes while the first guest is launched. */
  readonly whileLaunching?: Requests;
  /** Regular expressions that must match log lines, in this order. */
  readonly expect: readonly string[];
  /** Regular expressions that no log line may match. */
  readonly refuse?: readonly string[];
  /** Guests and their states as a report of the program's end would have them, of this start and of this boot. */
  readonly known?: readonly { vm: string; state: string }[];
  /** Files that must have been written outside logs/ and boot/; exactly these. */
  readonly writes?: readonly string[];
}

const BOOT_ID = "11111111-2222-3333-4444-555555555555";

const HEALTHY: Record<string, string> = {
  "mount find LABEL=RAYOS_DATA": "ok /dev/vda",
  "fsck /dev/vda": "ok clean",
  "mount data /dev/vda": "ok /dev/vda",
  "mount space": "ok 99999999 999999999",
  "mount tmpfs": "ok tmpfs",
  "mount release": "ok none",
  "keyboard list": "ok",
};

type Requests = readonly { op: string; args?: unknown; answer: string }[];

const here = import.meta.dirname ?? ".";
for (const name of fs.readdirSync(here).sort()) {
  const folder = path.join(here, name);
  if (!fs.existsSync(path.join(folder, "scenario.json"))) continue;
  const scenario = JSON.parse(fs.readFileSync(path.join(folder, "scenario.json"), "utf8"));
  Deno.test(`scenario ${name}`, () => runScenario(folder, scenario as Scenario));
}

async function askControl(host: FakeHost, requests: Requests = []): Promise<void> {
  const client = new FakeConnection();
  if (requests.length > 0) host.arrive(client);
  for (const [n, { op, args = {}, answer: expected }] of requests.entries()) {
    client.feed(`${JSON.stringify({ v: 0, id: String(n), op, args })}\n`);
    await until(() => client.written.length > n);
    assert.match(client.written[n] ?? "", new RegExp(expected), op);
  }
}

async function runScenario(folder: string, scenario: Scenario): Promise<void> {
  const host = new FakeHost();
  seed(host, folder, scenario);
  const launch = host.launch.bind(host);
  let waiting = scenario.whileLaunching;
  host.launch = async (...call) => {
    if (call[0] === "jail") {
      for (const name of ["cpu.max", "memory.max", "pids.max"]) {
        assert.ok(host.files.has(`${GUESTS_CGROUP}/${name}`), `no limit of all guests: ${name}`);
      }
      const requests = waiting;
      waiting = undefined;
      await askControl(host, requests);
    }
    return await launch(...call);
  };
  try {
    await init(host);
  } catch (error) {
    if (!(error instanceof Exited)) throw error;
  }
  assert.equal(waiting, undefined, "nothing was launched");
  await askControl(host, scenario.control);
  // What goes on after `init` returned: the agent's answer.
  await turns(20);
  const lines = host.consoleText.join("").split("\n");
  let at = 0;
  for (const pattern of scenario.expect) {
    const found = lines.findIndex((line, index) => index >= at && new RegExp(pattern).test(line));
    assert.ok(found >= 0, `no line matches ${pattern} after line ${at} of\n${lines.join("\n")}`);
    at = found + 1;
  }
  for (const pattern of scenario.refuse ?? []) {
    const found = lines.find((line) => new RegExp(pattern).test(line));
    assert.equal(found, undefined, `a line matches ${pattern}`);
  }
  if (scenario.known !== undefined) {
    const policy = lines.join("\n").match(/RAYOS_POLICY_OK:([0-9a-f]{64})/)?.[1];
    for (const left of [knownOfStart(host, BOOT_ID), knownOfBoot(host, BOOT_ID)]) {
      assert.deepEqual(left?.guests, scenario.known);
      assert.equal(left?.policy, policy);
      assert.equal(left?.phase, "serving");
    }
  }
  const outside = [...host.written].filter((file) =>
    !/^\/var\/rayos\/(.*\/)?(logs|boot|crash)\/|^\/run\//.test(file)
  );
  assert.deepEqual(outside.sort(), [...scenario.writes ?? []].sort());
  for (const guest of host.processes.keys()) host.processes.delete(guest);
}

function seed(host: FakeHost, folder: string, scenario: Scenario): void {
  const pair = generateKeyPair((count) => Uint8Array.from(randomBytes(count)));
  const other = generateKeyPair((count) => Uint8Array.from(randomBytes(count)));
  const inMemory = scenario.cmdline?.includes("rayos.data=tmpfs") ?? false;
  const place = inMemory ? "/etc/rayos/policy" : "/var/rayos/policy";
  const policyFile = path.join(folder, "policy.toml");
  if (fs.existsSync(policyFile)) {
    const bytes = Uint8Array.from(fs.readFileSync(policyFile));
    host.seed(`${place}/rayos-policy.toml`, bytes);
    const signer = scenario.signature === "unknown_key" ? other : pair;
    const signed = scenario.signature === "other_file" ? new Uint8Array([1]) : bytes;
    if (scenario.signature !== "none") {
      const signature = signDetached(signed, signer.secretKey, { trustedComment: "test" });
      host.seed(`${place}/rayos-policy.toml.minisig`, signature);
    }
  }
  for (const [target, name] of Object.entries(scenario.bring ?? {})) {
    const bytes = Uint8Array.from(fs.readFileSync(path.join(folder, name)));
    host.seed(`/var/rayos/${target}`, bytes);
    const signature = signDetached(bytes, pair.secretKey, { trustedComment: "test" });
    host.seed(`/var/rayos/${target}.minisig`, signature);
  }
  host.seed("/etc/rayos/keys/policy-test.pub", pair.publicText);
  host.seed(
    "/etc/rayos/build.json",
    JSON.stringify({
      version: "0.1.0",
      build_id: "b",
      profile: scenario.profile ?? "developer",
      form: "compiled",
      runtime: "pinned-test",
      built: "2026-11-01T00:00:00Z",
    }),
  );
  const proc = "/run/rayos/proc";
  host.seed(`${proc}/cmdline`, `console=ttyS0 ${scenario.cmdline ?? ""}\n`);
  host.seed(`${proc}/sys/kernel/random/boot_id`, `${BOOT_ID}\n`);
  host.seed(`${proc}/meminfo`, "MemTotal:        3000000 kB\n");
  host.seed(`${proc}/1/mountinfo`, "");
  host.seed("/run/rayos/stage0", "1.00 2.00\n");
  if (scenario.kvm ?? true) host.openable.add("/run/rayos/kvm");
  const document = (file: string, value: unknown) => {
    if (value === undefined) return;
    host.seed(file, typeof value === "string" ? value : JSON.stringify(value));
  };
  for (const file of scenario.litter ?? []) host.seed(`/var/rayos/${file}`, "");
  document("/var/rayos/vm/registry.json", scenario.registry);
  document("/var/rayos/policy/state.json", scenario.state);
  document("/run/rayos/starts.json", scenario.starts);
  for (const [n, record] of (scenario.history ?? []).entries()) {
    document(`/var/rayos/boot/history/${n}.json`, record);
  }
  for (const [number, vm] of Object.entries(scenario.running ?? {})) leaveRunning(host, number, vm);
  for (const file of ["rootfs.ext4", "vmlinuz"]) {
    host.seed(`/var/rayos/vm/linux/demo/${file}`, file);
  }
  const typed = (scenario.typed ?? []).flatMap((line) => {
    if (!line.startsWith("@")) return [line];
    const bytes = Uint8Array.from(fs.readFileSync(path.join(folder, line.slice(1))));
    const signature = signDetached(bytes, pair.secretKey, { trustedComment: "test" });
    const base64 = Buffer.from(bytes).toString("base64").match(/.{1,76}/g) ?? [];
    return [...base64, ".", ...signature.trimEnd().split("\n"), "."];
  });
  host.typed.push(...typed);
  host.launcher = (name, args) => answer(host, scenario, [name, ...args].join(" "));
  host.socket = (file) => guestSocket(host, file);
}

function answer(host: FakeHost, scenario: Scenario, call: string): LauncherResult {
  const asked = scenario.launcher?.[call] ?? HEALTHY[call];
  const said = Array.isArray(asked) ? asked.length > 1 ? asked.shift() : asked[0] : asked;
  if (call === "mount release") {
    const kept = [...host.opened.values()].filter((file) => file.startsWith("/var/rayos/"));
    if (kept.length > 0) return { code: 1, words: ["fault", "data.busy", ...kept] };
    host.seed("/run/rayos/proc/1/mountinfo", "");
  }
  if (said !== undefined) {
    const type = call === "mount tmpfs" ? "tmpfs rayos-data" : "ext4 /dev/vda";
    if (call === "mount tmpfs" || call.startsWith("mount data")) {
      const line = `1 0 ${DATA_DEVICE} / /var/rayos rw - ${type} rw\n`;
      host.seed("/run/rayos/proc/1/mountinfo", line);
    }
    return { code: said.startsWith("ok") ? 0 : 1, words: said.split(" ") };
  }
  assert.match(call, /^jail \d+$/, `no scenario expects ${call}`);
  startJail(host, Number(call.split(" ")[1]) as Slot, scenario.weaken);
  return { code: 0, words: ["ok"] };
}

/** What a start that died leaves of a guest: its process and the record of its run. */
function leaveRunning(host: FakeHost, number: string, vm: string): void {
  const slot = Number(number) as Slot;
  const plan = { ...samplePlan({ slot, uid: 61000 + slot }), vm };
  const facts = jailAsPlanned(jailSpec(plan as never), () => ({ device: 0, inode: 0 }));
  host.processes.set(slot, [facts]);
  const process = { pid: facts.pid, startTicks: facts.startTicks };
  const record = { version: 0, step: "running", process, ran: true, ready: true, plan };
  host.seed(`/run/rayos/guest/${slotName(slot)}.json`, JSON.stringify(record));
}
