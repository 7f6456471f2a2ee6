import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { FakeHost } from "../../test/fake_host.ts";
import { fakeRuntime } from "../../test/fake_runtime.ts";
import type { Key, Stroke } from "../guest/input.ts";
import type { VmId } from "../id.ts";
import { composeOperations } from "../init.ts";
import { subjectOf } from "../plan/launch_plan.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { renderAccepted } from "../policy/accepted.ts";
import { hashPassphrase } from "../policy/passphrase.ts";
import { InputBroker } from "../presentation/broker.ts";
import { chordsOf } from "../presentation/keys.ts";
import type { ShellView } from "../presentation/screen.ts";
import type { Runtime } from "../runtime.ts";
import { beginScreenShell } from "./recovery_screen.ts";
import { turns, until } from "../../test/turns.ts";

const PASSPHRASE = "zq three at night";
const HASH = await hashPassphrase(
  new TextEncoder().encode(PASSPHRASE),
  (count) => Uint8Array.from(randomBytes(count)),
  { logN: 10, r: 8, p: 1 },
);
const PLAN = samplePlan({
  devices: [...samplePlan().devices, { device: "gpu", model: "virtio" }, { device: "input" }],
});
const GUEST: VmId = PLAN.vm;

/** A release image's host with a screen, a keyboard and a running guest; the boot is over. */
function desk(mode: Runtime["mode"] = "normal", passphrase: string | null = null) {
  const host = new FakeHost();
  if (passphrase !== null) {
    host.seed(
      "/var/rayos/policy/state.json",
      renderAccepted({ serial: 2, sha256: "a".repeat(64), passphrase }),
    );
  }
  const runtime = fakeRuntime(host);
  composeOperations(runtime);
  runtime.mode = mode;
  runtime.ready = true;
  const toGuest: Stroke[] = [];
  const guest = {
    plan: PLAN,
    subject: subjectOf(PLAN),
    state: "running",
    given: { network: { state: "off", leaseLeftS: null }, shares: { tags: [] } },
    violations: [],
    monitor: {
      command: (_: string, __: number, stroke: Stroke) => {
        toGuest.push(stroke);
        return Promise.resolve({});
      },
    },
  };
  runtime.guests.set(GUEST, guest as unknown as Parameters<typeof runtime.guests.set>[1]);
  runtime.profileOf = () =>
    ({ devices: { gpu: "virtio", input: true } }) as ReturnType<Runtime["profileOf"]>;
  const seen = { view: null as ShellView | null, surface: "fb" as "fb" | "none" };
  beginScreenShell(runtime, {
    get surface() {
      return seen.surface;
    },
    room: { columns: 91, lines: 200 },
    turnTo: (view) => void (seen.view = view),
    refresh: () => {},
  });
  const broker = new InputBroker({
    ask: (turn) => runtime.presenter.ask(turn),
    attention: () => "ctrl+alt+pause",
    clock: runtime.host.clock,
    onDropped: () => {},
  });
  const tap = (...keys: readonly Key[]) => {
    for (const key of keys) broker.take(0, { type: "press", key });
    for (const key of keys.toReversed()) broker.take(0, { type: "release", key });
  };
  const type = async (text: string) => {
    for (const chord of chordsOf(text) ?? []) tap(...chord);
    await turns(10);
  };
  return {
    host,
    runtime,
    seen,
    toGuest,
    tap,
    type,
    /** What stands on the screen; null: the host's status. */
    text: () => seen.view?.text ?? null,
    chord: () => tap("key:ctrl", "key:alt", "key:pause"),
    async open() {
      tap("key:ctrl", "key:alt", "key:pause");
      await type("recovery\n");
      assert.match(seen.view?.text ?? "", /> $|>$/u, "a prompt");
    },
    said: () => host.consoleText.join(""),
  };
}

Deno.test("the shell comes to the screen by the chord and the word after it, and by nothing less", async () => {
  const at = desk();
  await at.type("recovery\n");
  assert.equal(at.text(), null, "without the chord");
  at.chord();
  await at.type("recover\n recovery\n");
  assert.equal(at.text(), null, "another word");
  await at.type("recovery\n");
  assert.match(at.text() ?? "", /^\nRayOS is in normal mode\.\n[^]*\nrayos closed>$/u);
  assert.match(at.said(), /RAYOS_RECOVERY_ENTERED shell=screen/u);
});

Deno.test("what is asked for on the screen is decided, reported and answered as on the serial line", async () => {
  const at = desk();
  await at.open();
  await at.type("status\n");
  await until(() => /mode +normal/u.test(at.text() ?? ""));
  await at.type("policy install x.toml\n");
  await until(() => /denied by op\.locked/u.test(at.text() ?? ""));
  assert.match(at.said(), /RAYOS_HOST_EVENT_V0:policy\.install:host caller=recovery/u);
  assert.match(at.said(), /RAYOS_HOST_ACK:policy\.install:err:op\.locked/u);
  for (
    const [line, answer] of [["shell", /serial line/u], ["policy paste", /cannot|nothing can/u], [
      "retry",
      /normal mode: there is nothing/u,
    ]] as const
  ) {
    await at.type(`${line}\n`);
    await until(() => answer.test((at.text() ?? "").split(line).at(-1) ?? ""));
  }
  assert.deepEqual(at.host.launches, []);
});

Deno.test("the passphrase opens the shell in which it was typed until that is left, and stands nowhere", async () => {
  const at = desk("normal", HASH);
  await at.open();
  assert.match(at.text() ?? "", /rayos locked>$/u);
  await at.type("unlock\n");
  await at.type(`${PASSPHRASE}\n`);
  await until(() => /unlocked;[^]*\nrayos>$/u.test(at.text() ?? ""));
  const elsewhere = await at.runtime.handle("recovery", "policy.install", {});
  assert.ok(!elsewhere.ok && elsewhere.rule === "op.locked", "no other shell is open by it");
  const written = [...at.host.files.values()].map((bytes) => new TextDecoder().decode(bytes));
  const everything = [at.text() ?? "", at.said(), at.host.harnessText.join(""), ...written];
  assert.ok(everything.some((one) => one.includes("recovery_unlocked")), "the attempt is told of");
  for (const secret of [PASSPHRASE, "zq three", "three", "night", "key:z", "key:q"]) {
    assert.ok(!everything.some((one) => one.includes(secret)), secret);
  }
  await at.open();
  assert.match(at.text() ?? "", /rayos locked>$/u, "the next one is locked");
});

Deno.test("a wrong passphrase opens nothing, closes what was open, and counts for every shell of the host", async () => {
  const at = desk("normal", HASH);
  await at.open();
  await at.type("unlock\n");
  await at.type(`${PASSPHRASE}\n`);
  await until(() => /\nrayos>$/u.test(at.text() ?? ""));
  await at.type("unlock\n");
  await at.type("wrong\n");
  await until(
    () => /denied by recovery\.passphrase[^]*\nrayos locked>$/u.test(at.text() ?? ""),
  );
  const count = at.host.readText("/var/rayos/boot/recovery_attempts.json", 4096);
  assert.equal(JSON.parse(count ?? "{}").failed, 1);
});

Deno.test("the shell is left by exit, Ctrl-D, the chord and a guest that is presented, and nothing of it comes back", async () => {
  const leave: [string, (at: ReturnType<typeof desk>) => unknown][] = [
    ["exit", (at) => at.type("exit\n")],
    ["Ctrl-D", (at) => at.tap("key:ctrl", "key:d")],
    ["the chord", (at) => at.chord()],
    ["a guest", (at) => at.runtime.presenter.ask({ type: "present", vm: GUEST })],
  ];
  for (const [how, act] of leave) {
    const at = desk();
    await at.open();
    await at.type("help\n");
    if (how === "the chord" || how === "a guest") await at.type("half a li");
    await act(at);
    await turns(10);
    assert.equal(at.text(), null, how);
    await at.type("status\n");
    assert.doesNotMatch(at.said(), /HOST_EVENT_V0:status/u, how);
    await at.open();
    assert.doesNotMatch(at.text() ?? "", /half|Tab completes/u, how);
  }
});

Deno.test("what is typed while a guest is presented never comes to the shell, and what is typed in the shell never to a guest", async () => {
  const at = desk();
  await at.open();
  at.tap("key:s");
  await at.type("hell");
  assert.equal(at.toGuest.length, 0);
  await at.runtime.presenter.ask({ type: "present", vm: GUEST });
  await at.type("ab");
  const typed = at.toGuest.flatMap((one) => "keys" in one ? [`${one.down} ${one.keys}`] : []);
  assert.deepEqual(typed, ["true key:a", "false key:a", "true key:b", "false key:b"]);
  await at.open();
  const before = at.toGuest.length;
  await at.type("cd");
  assert.equal(at.toGuest.length, before);
  assert.match(at.text() ?? "", /rayos closed> cd$/u);
});

Deno.test("a command that is still at work when its shell is left shows nothing in the next one", async () => {
  const at = desk();
  const held = Promise.withResolvers<void>();
  at.runtime.operations.set("keys.list", async () => {
    await held.promise;
    return { ok: true, result: { late: "answer" } };
  });
  await at.open();
  await at.type("keys\nstatus\n");
  at.chord();
  await at.type("recovery\n");
  held.resolve();
  await turns(10);
  assert.doesNotMatch(at.text() ?? "", /answer/u);
  assert.doesNotMatch(at.said(), /HOST_EVENT_V0:status/u, "what waited behind it is forgotten");
});

Deno.test("on a host that is not in normal mode the shell is there at once, and says why", async () => {
  for (const mode of ["safe", "recovery"] as const) {
    const at = desk(mode);
    await turns(10);
    assert.match(at.text() ?? "", new RegExp(`RayOS is in ${mode} mode[^]*rayos closed>$`, "u"));
    await at.type("exit\n");
    assert.equal(at.text(), null);
    await at.open();
  }
});

Deno.test("a host whose screen is lost, or that has none, takes nothing that is typed", async () => {
  const at = desk();
  await at.open();
  at.seen.surface = "none";
  await at.type("status\n");
  assert.equal(at.text(), null);
  assert.doesNotMatch(at.said(), /HOST_EVENT_V0/u);
  at.chord();
  await at.type("recovery\nstatus\n");
  assert.equal(at.text(), null);
  const { runtime } = at;
  const status = await runtime.handle("console", "status", {});
  assert.equal(status.ok && (status.result as Record<string, unknown>)["host_screen"], null);
});
