/**
 * `ray present`, `ray hide`, `ray input …`: who the user sees, and keys and pointer for that guest. They
 * decide nothing; a denial is the host's.
 */

import { buildCommand, buildRouteMap } from "@stricli/core";
import * as v from "valibot";
import { escapeUnsafe } from "../escape.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag, one, two } from "./flags.ts";
import { hostCommand } from "./host_commands.ts";

const guest = one("ID", "the guest's name");

export const present = buildCommand<Json, [string], CliContext>({
  docs: docs("Show a guest and give it what is typed", "ray present linux-demo-001"),
  parameters: { flags: { json: jsonFlag }, positional: guest },
  func(flags, vm) {
    const render = () => `${vm} is presented\n`;
    return guarded(this, () => hostCommand(this, "present", { vm }, flags.json, render));
  },
});

export const hide = buildCommand<Json, [string], CliContext>({
  docs: docs("Take a guest off the screen", "ray hide linux-demo-001"),
  parameters: { flags: { json: jsonFlag }, positional: guest },
  func(flags, vm) {
    const render = () => `${vm} is not presented\n`;
    return guarded(this, () => hostCommand(this, "hide", { vm }, flags.json, render));
  },
});

const ACTS = ["tap", "press", "release"] as const;
interface Act extends Json {
  readonly act: typeof ACTS[number];
}
const act = {
  kind: "enum",
  values: ACTS,
  default: "tap",
  brief: "press and release, or one of both",
} as const;
const rest = (name: string, brief: string) => ({ parse: String, placeholder: name, brief });
const sent = (result: unknown) => {
  const { sent: count } = (result ?? {}) as { sent?: unknown };
  return `${Number(count)} sent\n`;
};

const key = buildCommand<Act, [string, ...string[]], CliContext>({
  docs: docs(
    "Press keys together, by QEMU's names for them",
    "ray input key linux-demo-001 ctrl c",
  ),
  parameters: {
    flags: { json: jsonFlag, act },
    positional: {
      kind: "array",
      parameter: rest("ID KEY", "the guest's name, then keys"),
      minimum: 2,
    },
  },
  func(flags, vm, ...keys) {
    const args = { vm, keys, act: flags.act };
    return guarded(this, () => hostCommand(this, "input.key", args, flags.json, sent));
  },
});

const text = buildCommand<Json, [string, string], CliContext>({
  docs: docs("Type a text as on a US keyboard", "ray input text linux-demo-001 'ls -l'"),
  parameters: {
    flags: { json: jsonFlag },
    positional: two(["ID", "the guest's name"], ["TEXT", "what is typed"]),
  },
  func(flags, vm, typed) {
    return guarded(
      this,
      () => hostCommand(this, "input.text", { vm, text: typed }, flags.json, sent),
    );
  },
});

interface Pointer extends Act {
  readonly x?: number;
  readonly y?: number;
  readonly button?: string;
}
const number = (name: string) => ({
  kind: "parsed",
  parse: Number,
  optional: true,
  brief: `${name} from 0 to 32767 of the screen`,
} as const);

const pointer = buildCommand<Pointer, [string], CliContext>({
  docs: docs("Move the pointer or press a button", "ray input pointer linux-demo-001 -x 0 -y 0"),
  parameters: {
    // A flag of one letter has one dash: with two the parser takes it for a word.
    aliases: { x: "x", y: "y" },
    flags: {
      json: jsonFlag,
      act,
      x: number("x"),
      y: number("y"),
      button: { kind: "parsed", parse: String, optional: true, brief: "left, middle, right" },
    },
    positional: guest,
  },
  func({ json, act: how, x, y, button }, vm) {
    const args = button === undefined ? { vm, x, y } : { vm, button, act: how };
    return guarded(this, () => hostCommand(this, "input.pointer", args, json, sent));
  },
});

const LISTED = v.looseObject({
  devices: v.array(v.looseObject({ event: v.string(), name: v.string(), accepted: v.boolean() })),
});

function renderDevices(result: unknown): string {
  const parsed = v.safeParse(LISTED, result);
  const devices = parsed.success ? parsed.output.devices : [];
  const lines = devices.map(({ event, name, accepted }) =>
    `${event.padEnd(8)} ${accepted ? "read " : "new  "} ${escapeUnsafe(name)}\n`
  );
  return lines.join("") || "no keyboard and no pointer\n";
}

const devices = buildCommand<Json, [], CliContext>({
  docs: docs("The host's keyboards and pointers; `new` ones are not read", "ray input devices"),
  parameters: { flags: { json: jsonFlag }, positional: { kind: "tuple", parameters: [] } },
  func(flags) {
    return guarded(this, () => hostCommand(this, "input.devices", {}, flags.json, renderDevices));
  },
});

const accept = buildCommand<Json, [string], CliContext>({
  docs: docs(
    "Read a keyboard that was plugged in after the boot, while no guest is presented",
    "ray input accept event5",
  ),
  parameters: {
    flags: { json: jsonFlag },
    positional: one("EVENT", "its name in `ray input devices`"),
  },
  func(flags, event) {
    const render = () => `${event} is read\n`;
    return guarded(this, () => hostCommand(this, "input.accept", { event }, flags.json, render));
  },
});

export const inputRoutes = buildRouteMap({
  docs: { brief: "Keys and pointer for the guest that is presented, and the host's own devices" },
  routes: { key, text, pointer, devices, accept },
});
