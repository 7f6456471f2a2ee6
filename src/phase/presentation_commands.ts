/**
 * What a person or a program may have done to the screen and, through it, to the guest that is shown. A
 * request's keys are held against the closed list before anything is asked of the gate; none of it is ever
 * repeated in an answer or a line.
 */

import * as v from "valibot";
import type { Outcome } from "../control/protocol.ts";
import type { Key } from "../guest/input.ts";
import type { VmId } from "../id.ts";
import { PATHS } from "../permissions.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { LiveOp } from "../policy/ops.ts";
import type { GateOutcome, Turn } from "../presentation/gate.ts";
import { chordsOf, keyOf } from "../presentation/keys.ts";
import type { Operation, Runtime } from "../runtime.ts";

/** Keys pressed at one time, and characters of a text. */
const MOST_KEYS = 8;
const MOST_CHARACTERS = 200;
const MOST_PLACE = 0x7fff;

const ACT = v.optional(v.picklist(["tap", "press", "release"]), "tap");
const place = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_PLACE));
const KEYS = v.object({
  keys: v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(MOST_KEYS)),
  act: ACT,
});
const TEXT = v.object({
  text: v.pipe(v.string(), v.minLength(1), v.maxLength(MOST_CHARACTERS)),
});
const POINTER = v.union([
  v.object({ x: place, y: place }),
  v.object({ button: v.string(), act: ACT }),
]);

/** The operations of screen and input, by their names. */
export function presentationOperations(runtime: Runtime): [LiveOp, Operation][] {
  return [
    ["present", (permit) => present(runtime, permit as Allowed<"present">)],
    ["hide", (permit) => hide(runtime, permit as Allowed<"hide">)],
    ["input.key", (permit, args) => typeKeys(runtime, permit as Allowed<"input.key">, args)],
    ["input.text", (permit, args) => typeText(runtime, permit as Allowed<"input.text">, args)],
    ["input.pointer", (permit, args) => point(runtime, permit as Allowed<"input.pointer">, args)],
  ];
}

/** There once somebody was presented in this boot. */
const PRESENTED = `${PATHS.run}/presented`;

/**
 * Shows the first running guest that the policy shows at boot, where nobody was shown in this boot. A program that
 * was started again presents nobody then: a person may be typing for whoever was shown, or have hidden all of them.
 * Nor does it where a person is at the host's own screen: what they type there would go to the guest.
 *
 * @param among those that are asked about, e.g. one that runs only now since its saved memory took its time
 */
export async function presentAtBoot(
  runtime: Runtime,
  among: readonly VmId[] = [...runtime.guests.keys()],
): Promise<void> {
  if (runtime.host.lstat(PRESENTED) !== null) return;
  for (const vm of among) {
    const { shown, host: view } = runtime.presenter;
    if (shown !== null || (view !== null && view !== "status")) return;
    const decision = runtime.decide("policy", { op: "present", vm });
    if (decision.allow) await present(runtime, decision.permit);
  }
}

async function present(
  { host, presenter }: Runtime,
  { vm }: Allowed<"present">,
): Promise<Outcome> {
  if (vm === null) return unnamed();
  if (host.lstat(PRESENTED) === null) host.put(PRESENTED, "");
  return outcomeOf(await presenter.ask({ type: "present", vm }), { presented: vm });
}

async function hide({ presenter }: Runtime, { vm }: Allowed<"hide">): Promise<Outcome> {
  if (vm === null) return unnamed();
  return outcomeOf(await presenter.ask({ type: "hide", vm }), { presented: presenter.shown });
}

function typeKeys(
  runtime: Runtime,
  { vm }: Allowed<"input.key">,
  args: Readonly<Record<string, unknown>>,
): Promise<Outcome> | Outcome {
  const parsed = v.safeParse(KEYS, args);
  if (!parsed.success) {
    return malformed(`keys: 1 to ${MOST_KEYS} names; act: tap, press or release`);
  }
  const keys = parsed.output.keys.map((name) => keyOf("key", name));
  if (!keys.every((key) => key !== null)) return malformed("keys: a name that no key has");
  return runAll(runtime, vm, strokes(keys, parsed.output.act));
}

function typeText(
  runtime: Runtime,
  { vm }: Allowed<"input.text">,
  args: Readonly<Record<string, unknown>>,
): Promise<Outcome> | Outcome {
  const parsed = v.safeParse(TEXT, args);
  if (!parsed.success) return malformed(`text: 1 to ${MOST_CHARACTERS} characters`);
  const chords = chordsOf(parsed.output.text);
  if (chords === null) return malformed("text: a character that stands on no key of a US keyboard");
  return runAll(runtime, vm, chords.flatMap((chord) => strokes(chord, "tap")));
}

function point(
  runtime: Runtime,
  { vm }: Allowed<"input.pointer">,
  args: Readonly<Record<string, unknown>>,
): Promise<Outcome> | Outcome {
  const parsed = v.safeParse(POINTER, args);
  if (!parsed.success) return malformed(`x and y: 0 to ${MOST_PLACE}; or button and act`);
  const asked = parsed.output;
  if ("x" in asked) {
    return runAll(runtime, vm, [{ type: "move", place: { x: asked.x, y: asked.y } }]);
  }
  const button = keyOf("button", asked.button);
  if (button === null) return malformed("button: a name that no button has");
  return runAll(runtime, vm, strokes([button], asked.act));
}

type Step =
  | Omit<Extract<Turn, { key: Key }>, "to">
  | Omit<Extract<Turn, { type: "move" }>, "to">;

function strokes(keys: readonly Key[], act: "tap" | "press" | "release"): Step[] {
  const presses = keys.map((key): Step => ({ type: "press", key }));
  const releases = keys.toReversed().map((key): Step => ({ type: "release", key }));
  if (act === "tap") return [...presses, ...releases];
  return act === "press" ? presses : releases;
}

/** One after the other, each for that guest alone; the first that was not taken ends it. */
async function runAll(
  { presenter }: Runtime,
  vm: VmId | null,
  steps: readonly Step[],
): Promise<Outcome> {
  if (vm === null) return unnamed();
  const { turn } = presenter;
  const down = new Set<Key>();
  for (const step of steps) {
    // One that was hidden meanwhile was told that everything is up: the rest is another thing then.
    const outcome = presenter.turn === turn
      ? await presenter.ask({ ...step, to: vm } as Turn)
      : "not_presented";
    if (outcome !== "done") {
      for (const key of down) await presenter.ask({ type: "release", key, to: vm });
      return outcomeOf(outcome, {});
    }
    if (step.type === "press") down.add(step.key);
    if (step.type === "release") down.delete(step.key);
  }
  return { ok: true, result: { sent: steps.length } };
}

const REFUSED: Readonly<Record<Exclude<GateOutcome, "done">, Extract<Outcome, { ok: false }>>> = {
  not_presented: refusal("input.not_presented", "the guest is not presented any more"),
  not_given: refusal("input.not_given", "the policy gives the guest no input"),
  not_allowed: refusal("vm.not_presentable", "the guest does not run, or is given no screen"),
  late: refusal("input.late", "the guest took too long over what came before; ask again"),
  full: refusal("input.full", "too much waits for the guest already; ask again"),
};

function refusal(rule: string, detail: string): Extract<Outcome, { ok: false }> {
  return { ok: false, rule, detail };
}

function outcomeOf(outcome: GateOutcome, result: Record<string, unknown>): Outcome {
  return outcome === "done" ? { ok: true, result } : REFUSED[outcome];
}

function malformed(detail: string): Outcome {
  return { ok: false, rule: "control.form", detail };
}

function unnamed(): Outcome {
  return { ok: false, rule: "vm.unnamed", detail: "name a guest" };
}
