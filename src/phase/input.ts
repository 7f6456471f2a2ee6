/**
 * The host's own keyboards and pointers: those that stage 0 found at boot, each read as long as it is
 * there. One that is plugged in later is none of them: it could be anything that calls itself a keyboard.
 */

import { asFault } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import { InputBroker } from "../presentation/broker.ts";
import { EvdevReader } from "../presentation/evdev.ts";
import type { Runtime } from "../runtime.ts";

const FOLDER = `${PATHS.run}/input`;

/** Begins to read them; none of them is waited for. */
export function beginInput(runtime: Runtime): void {
  const { host, emit, presenter } = runtime;
  const broker = new InputBroker({
    ask: (turn) => presenter.ask(turn),
    attention: () => runtime.inForce?.policy.presentation.attention ?? "ctrl+alt+pause",
    onDropped: (count) => emit({ type: "input_dropped", count }),
  });
  for (const [device, name] of host.list(FOLDER).entries()) {
    void attend(runtime, broker, device, `${FOLDER}/${name}`);
  }
}

async function attend(
  { host, emit }: Runtime,
  broker: InputBroker,
  device: number,
  path: string,
): Promise<void> {
  const reader = new EvdevReader();
  try {
    for await (const bytes of host.device(path)) {
      for (const input of reader.take(bytes)) broker.take(device, input);
    }
  } catch (error) {
    const { stage, code, message } = asFault(error, "input", "device.gone");
    emit({ type: "fault", stage, code, message });
  } finally {
    broker.gone(device);
    // The kernel gives its number to the next device, which nobody has accepted.
    host.remove(path);
  }
}
