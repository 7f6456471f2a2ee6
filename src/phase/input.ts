/**
 * The host's own keyboards and pointers: those that stage 0 found at boot, and those that somebody has
 * accepted since, each read as long as it is there. One that is plugged in later could be anything that
 * calls itself a keyboard: until it is accepted, while no guest is presented, nobody reads it.
 */

import type { Outcome } from "../control/protocol.ts";
import { asFault, Fault } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import type { Allowed } from "../policy/authorize.ts";
import { DEFAULT_ATTENTION, InputBroker } from "../presentation/broker.ts";
import { EvdevReader } from "../presentation/evdev.ts";
import { type FoundDevice, foundDevices, nameOf } from "../presentation/found.ts";
import type { Runtime } from "../runtime.ts";

const FOLDER = `${PATHS.run}/input`;
const LAUNCH_TIMEOUT_MS = 10_000;

/**
 * Begins to read those that were accepted and are still the same, once. From here on others can be accepted.
 */
export async function beginInput(runtime: Runtime): Promise<void> {
  const { emit, presenter, operations } = runtime;
  // Read twice, each key would come twice.
  if (operations.has("input.devices")) return;
  const broker = new InputBroker({
    ask: (turn) => presenter.ask(turn),
    attention: () => runtime.inForce?.policy.presentation.attention ?? DEFAULT_ATTENTION,
    clock: runtime.host.clock,
    onDropped: (count) => emit({ type: "input_dropped", count }),
  });
  operations.set("input.devices", async () => {
    const devices = (await look(runtime)).map((one) => ({
      event: one.event,
      name: nameOf(one),
      accepted: one.node !== null,
    }));
    return { ok: true, result: { devices } };
  });
  operations.set(
    "input.accept",
    (permit, args) => accept(runtime, broker, permit as Allowed<"input.accept">, args),
  );
  try {
    for (const { node } of await look(runtime)) {
      if (node !== null) void attend(runtime, broker, node);
    }
  } catch (error) {
    // A host without a keyboard runs its guests all the same.
    const { stage, code, message } = asFault(error, "input", "input.failed");
    emit({ type: "fault", stage, code, message });
  }
}

/** @throws Fault with the launcher's own code */
async function launch(runtime: Runtime, ...args: string[]): Promise<string[]> {
  const { code, words } = await runtime.host.launch("keyboard", args, LAUNCH_TIMEOUT_MS);
  const [kind, rule = "input.failed", ...detail] = words;
  if (code === 0 && kind === "ok") return words.slice(1);
  throw new Fault(
    "input",
    rule,
    `keyboard: ${detail.join(" ") || "nothing was said"}; see \`ray input devices\``,
  );
}

async function look(runtime: Runtime): Promise<FoundDevice[]> {
  const found = foundDevices(await launch(runtime, "list"));
  if (found !== null) return found;
  throw new Fault("input", "input.form", "keyboard: a list of another form; rebuild the image");
}

async function accept(
  runtime: Runtime,
  broker: InputBroker,
  permit: Allowed<"input.accept">,
  args: Readonly<Record<string, unknown>>,
): Promise<Outcome> {
  const device = (await look(runtime)).find((one) => one.event === args.event);
  if (device === undefined) {
    return { ok: false, rule: "input.gone", detail: "no keyboard or pointer of that name" };
  }
  if (device.node !== null) return { ok: true, result: { event: device.event, new: false } };
  // Looking took its time: whoever was presented meanwhile is not to be typed into by it.
  const { shown } = runtime.presenter;
  if (shown !== null) {
    return { ok: false, rule: "input.host_view", detail: `${shown} is presented` };
  }
  const [node] = await launch(runtime, "accept", device.event, device.dev, device.name64);
  const { event } = device;
  runtime.emit({ type: "input_accepted", event, name: nameOf(device), caller: permit.caller });
  void attend(runtime, broker, Number(node));
  return { ok: true, result: { event, new: true } };
}

/** Reads one of them until it is gone. @param node its number in the folder */
async function attend({ host, emit }: Runtime, broker: InputBroker, node: number): Promise<void> {
  const path = `${FOLDER}/${node}`;
  const reader = new EvdevReader();
  try {
    for await (const bytes of host.device(path)) {
      for (const input of reader.take(bytes)) broker.take(node, input);
    }
  } catch (error) {
    const { stage, code, message } = asFault(error, "input", "device.gone");
    emit({ type: "fault", stage, code, message });
  } finally {
    broker.gone(node);
    // The kernel gives its number to the next device, which nobody has accepted.
    host.remove(path);
    host.remove(`${path}.id`);
  }
}
