/**
 * What the user does, in QMP's words: one `input-send-event` for what is sent at one time. Pure.
 *
 * Source: QEMU 7.2, qapi/ui.json (InputEvent).
 */

/** `key:<QKeyCode>` or `button:<InputButton>`. */
export type Key = `${"key" | "button"}:${string}`;

/** Where the pointer is, from 0 to 0x7fff of the screen's width and height. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** What is sent to a guest at one time and acknowledged as one. */
export type Stroke =
  | { readonly down: boolean; readonly keys: readonly Key[] }
  | { readonly place: Place };

/** The arguments of `input-send-event`. */
export function inputArguments(stroke: Stroke): Record<string, unknown> {
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
