/**
 * The control socket's messages: one JSON object a line, checked by shape here and nowhere else. It
 * decides nothing and touches no socket.
 */

import * as v from "valibot";
import type { VmId } from "../id.ts";
import type { Request } from "../policy/authorize.ts";
import type { ControlStream } from "./stream.ts";

/** A longer line gets an error and is dropped. */
export const LINE_CAP = 64 * 1024;

/** A list is a record to valibot, which leaves these names out without a word. */
const LEFT_OUT = ["__proto__", "constructor", "prototype"];
const ARGS = v.pipe(
  v.unknown(),
  v.check((one) => !Array.isArray(one), "a list"),
  v.check(
    (one) =>
      typeof one !== "object" || one === null || !LEFT_OUT.some((name) => Object.hasOwn(one, name)),
    "no such name",
  ),
  v.record(v.string(), v.unknown()),
);
const REQUEST = v.strictObject({
  v: v.literal(0),
  id: v.pipe(v.string(), v.maxLength(64)),
  op: v.pipe(v.string(), v.maxLength(64)),
  args: v.optional(ARGS, {}),
});

const RESPONSE = v.variant("ok", [
  v.strictObject({ v: v.literal(0), id: v.string(), ok: v.literal(true), result: v.unknown() }),
  v.strictObject({
    v: v.literal(0),
    id: v.string(),
    ok: v.literal(false),
    error: v.strictObject({ rule: v.string(), detail: v.string() }),
  }),
]);

export type ControlRequest = v.InferOutput<typeof REQUEST>;
export type ControlResponse = v.InferOutput<typeof RESPONSE>;

/** What a handler answers; the id is the protocol's matter, and what a stream says comes after it. */
export type Outcome =
  | { readonly ok: true; readonly result: unknown; readonly stream?: ControlStream }
  | { readonly ok: false; readonly rule: string; readonly detail: string };

/** The request in a line, or why there is none. */
export function parseRequest(
  line: string,
): { ok: true; request: ControlRequest } | { ok: false; id: string; detail: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { ok: false, id: "", detail: "not JSON" };
  }
  const parsed = v.safeParse(REQUEST, value);
  if (parsed.success) return { ok: true, request: parsed.output };
  const id = (value as { id?: unknown } | null)?.id;
  const first = parsed.issues[0];
  const place = v.getDotPath(first) ?? "the request";
  return {
    ok: false,
    id: typeof id === "string" && id.length <= 64 ? id : "",
    detail: `${place}: expected ${first.expected ?? "another value"}`,
  };
}

export function parseResponse(line: string): ControlResponse | null {
  try {
    const parsed = v.safeParse(RESPONSE, JSON.parse(line));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

/** The request as `authorize` is asked; whatever else it carries is the operation's own matter. */
export function requestOf(
  op: string,
  vm: VmId | null,
  { tag, dry_run }: Readonly<Record<string, unknown>>,
): Request {
  const share = op.startsWith("share.") && typeof tag === "string" ? { share: tag } : {};
  const dry = dry_run === true ? { dryRun: true } : {};
  return vm === null ? { op, ...share, ...dry } : { op, vm, ...share, ...dry };
}

/** A request's or a response's line, with its newline. */
export function renderMessage(message: ControlRequest | ControlResponse): string {
  return `${JSON.stringify(message)}\n`;
}

export function response(id: string, outcome: Outcome): ControlResponse {
  return outcome.ok
    ? { v: 0, id, ok: true, result: outcome.result }
    : { v: 0, id, ok: false, error: { rule: outcome.rule, detail: outcome.detail } };
}
