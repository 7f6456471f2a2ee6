/**
 * What the user does, in QMP's words: one `input-send-event` for what is sent at one time. Pure.
 *
 * Source: QEMU 7.2, qapi/ui.json (InputEvent).
 */

/** Keys as `key:<QKeyCode>` and buttons as `button:<InputButton>`, or a place from 0 to 0x7fff. */
export type InputStroke =
  | { readonly down: boolean; readonly keys: readonly `${"key" | "button"}:${string}`[] }
  | { readonly place: { readonly x: number; readonly y: number } };

/** The arguments of `input-send-event`. */
export function inputArguments(stroke: InputStroke): Record<string, unknown> {
  if ("place" in stroke) {
    const events = (["x", "y"] as const).map((axis) => ({
      type: "abs",
      data: { axis, value: stroke.place[axis] },
    }));
    return { events };
  }
  const { down } = stroke;
  const events = stroke.keys.map((one) => {
    const name = one.slice(one.indexOf(":") + 1);
    return one.startsWith("key:")
      ? { type: "key", data: { down, key: { type: "qcode", data: name } } }
      : { type: "btn", data: { down, button: name } };
  });
  return { events };
}
