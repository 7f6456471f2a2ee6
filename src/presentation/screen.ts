/**
 * The host's screen at work: the presented guest's picture, or the host's own status while nobody is
 * presented, below the bar. It follows the gate and decides nothing: whatever goes wrong with a picture
 * hides its guest. Nothing waits for it; it reads a guest's QEMU only as fast as it draws, and only while
 * that guest is presented.
 *
 * Whenever somebody else is presented, first the bar says that nobody is, then what was there is wiped out,
 * and only then the bar names the next one.
 */

import { asFault, Fault } from "../fault.ts";
import type { Place } from "../guest/input.ts";
import type { Clock, Connection, FrameDevice } from "../host/port.ts";
import type { Slot } from "../id.ts";
import { within } from "../within.ts";
import { Composition, type Cursor as TextCursor, type Layout, type Pointer } from "./compose.ts";
import type { Font } from "./font.ts";
import { paint, paintNow } from "./framebuffer.ts";
import { Patience } from "./patience.ts";
import { type Cursor, RfbReader, type RfbStep } from "./rfb.ts";
import { say } from "./rfb_messages.ts";
import { type Shown, stripText } from "./strip.ts";
import { Surface } from "./surface.ts";

/** Milliseconds from one picture of a guest to the next, and from one status to the next. */
const FRAME_MS = 33;
const STATUS_MS = 1_000;
/** The last place of a pointer on its way across a guest's screen (QEMU's INPUT_EVENT_ABS_MAX). */
const MOST_PLACE = 0x7fff;
/** Milliseconds in which QEMU takes what is said to it: a few bytes. */
const SAY_MS = 5_000;

/** Who is presented, and where its pictures come from. */
export interface Presented extends Omit<Shown, "input"> {
  readonly slot: Slot;
  /** Asked whenever the bar is drawn. */
  readonly input: () => boolean;
}

/** The host's own shell on the screen, as it is now. */
export interface ShellView {
  readonly text: string;
  readonly cursor: TextCursor | null;
}

/** What the gate's presenter knows of a screen. */
export interface Pictures {
  /** What a person sees: the framebuffer, or nothing. */
  readonly surface: "fb" | "none";
  /** From now on somebody else is presented, or nobody: nothing of the one before is drawn any more. */
  readonly show: (presented: Presented | null) => void;
  /** What the bar says may be something else by now. */
  readonly again: () => void;
  /** The presented guest was told that the pointer is there. */
  readonly pointed: (place: Place) => void;
}

/** A host without a screen. */
export const HEADLESS: Pictures = {
  surface: "none",
  show: () => {},
  again: () => {},
  pointed: () => {},
};

export interface ScreenAround {
  readonly frame: FrameDevice;
  readonly layout: Layout;
  readonly font: Font;
  readonly clock: Pick<Clock, "monoMs" | "sleep">;
  /** To the VNC server of that slot's QEMU. */
  readonly connect: (slot: Slot) => Promise<Connection>;
  /** Asks the gate to hide that guest; null: whoever is seen, the host's shell too. */
  readonly hide: (vm: Presented["vm"] | null) => void;
  readonly report: (fault: Fault) => void;
  /** The host's own text. */
  readonly status: () => string;
}

export class Screen implements Pictures {
  readonly #composition: Composition;
  #presented: Presented | null = null;
  /** Whom the bar names. */
  #named: Presented | null = null;
  /** Changes with whoever is presented. */
  #turn = 0;
  #over = new AbortController();
  /** What nobody is presented for: the host's status, or its shell. */
  #shell: ShellView | null = null;
  /** Aborted where the host's own text is another one by now. */
  #fresh = new AbortController();
  #connection: Connection | null = null;
  /** The presented guest's picture, its own pointer, and where that is. */
  #picture = new Surface(1, 1);
  #cursor: Cursor | null = null;
  #place: Place | null = null;
  #lost = false;

  /** @throws Fault `screen.too_small` */
  constructor(readonly around: ScreenAround) {
    this.#composition = new Composition(around.layout, around.font);
    if (this.#composition.isLargeEnough) return;
    const { width, height } = around.layout;
    const why = `screen: ${width}x${height} has no room for the bar; use a larger one`;
    throw new Fault("screen", "screen.too_small", why);
  }

  get surface(): "fb" | "none" {
    return this.#lost ? "none" : "fb";
  }

  /** Letters and lines that the host's shell has. */
  get room(): { readonly columns: number; readonly lines: number } {
    const { columns, lines } = this.#composition;
    return { columns, lines };
  }

  /** While nobody is presented the host's shell is seen from now on, or its status again. */
  turnTo(shell: ShellView | null): void {
    this.#shell = shell;
    this.again();
    this.refresh();
  }

  /** The host's own text is another one by now. */
  refresh(): void {
    this.#fresh.abort();
  }

  readonly show = (presented: Presented | null): void => {
    this.#presented = presented;
    this.#turn++;
    this.#connection?.close();
    this.#connection = null;
    this.#picture = new Surface(1, 1);
    this.#cursor = null;
    this.#place = null;
    // A guest's picture could be of anything, also of what the host shows when its bar names nobody.
    if (this.#named !== null) this.#wipe();
    this.#bar(null);
    this.#over.abort();
    this.#fresh.abort();
  };

  readonly again = (): void => this.#bar(this.#named);

  /** At once, since it is small: a pointer that is late is in the way. */
  readonly pointed = (place: Place): void => {
    this.#place = place;
    if (this.#cursor === null || this.#lost || this.#named === null) return;
    const { frame, layout } = this.around;
    const parts = this.#composition.drawGuest(this.#picture, [], this.#pointer());
    this.#guarded(() => {
      for (const part of parts) paintNow(frame, layout, this.#composition.canvas, part);
    });
  };

  /** The guest's own, in the middle as long as nobody has moved it. */
  #pointer(): Pointer | null {
    if (this.#cursor === null) return null;
    const { width, height } = this.#picture;
    const { x, y } = this.#place ?? { x: MOST_PLACE / 2, y: MOST_PLACE / 2 };
    const at = (value: number, length: number) => Math.round(value * (length - 1) / MOST_PLACE);
    return { cursor: this.#cursor, x: at(x, width), y: at(y, height) };
  }

  /** Draws until the screen is lost. */
  async run(): Promise<void> {
    try {
      while (!this.#lost) {
        const turn = this.#turn;
        this.#over = new AbortController();
        this.#composition.clear();
        await this.#paint(() => true);
        if (turn !== this.#turn) continue;
        const presented = this.#presented;
        this.#bar(presented);
        if (presented === null) await this.#status(turn);
        else await this.#guest(presented, turn);
      }
    } catch (error) {
      this.#lose(error);
    }
  }

  /** At once: whoever is presented next must not stand under another one's name. */
  #bar(presented: Presented | null): void {
    if (this.#lost) return;
    this.#named = presented;
    const { frame, layout } = this.around;
    const { bar, canvas } = this.#composition;
    const shown = presented === null ? null : { ...presented, input: presented.input() };
    this.#composition.drawBar(stripText(shown, this.#shell !== null));
    this.#guarded(() => paintNow(frame, layout, canvas, bar));
  }

  /** At once, below the bar that still names whose it was. */
  #wipe(): void {
    if (this.#lost) return;
    const { frame, layout } = this.around;
    const { stage, canvas } = this.#composition;
    this.#composition.clear();
    this.#guarded(() => paintNow(frame, layout, canvas, stage));
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#lose(error);
    }
  }

  async #status(turn: number): Promise<void> {
    const { clock, status } = this.around;
    while (turn === this.#turn && !this.#lost) {
      const { signal } = this.#fresh = new AbortController();
      const { text, cursor } = this.#shell ?? { text: status(), cursor: null };
      this.#composition.drawText(text, cursor);
      await this.#paint(() => turn === this.#turn);
      if (turn === this.#turn && !signal.aborted) await clock.sleep(STATUS_MS, signal);
    }
  }

  /** Shows a guest as long as it is presented; what goes wrong hides it. */
  async #guest(presented: Presented, turn: number): Promise<void> {
    try {
      await this.#follow(presented, turn);
    } catch (error) {
      if (this.#lost || turn !== this.#turn) return;
      const fault = asFault(error, "screen", "screen.failed");
      if (fault.code === "screen.lost") throw fault;
      this.around.report(fault);
      this.#composition.clear();
      await this.#paint(() => true);
      this.around.hide(presented.vm);
    } finally {
      if (turn === this.#turn) this.#connection?.close();
    }
    const { signal } = this.#over;
    if (turn !== this.#turn || signal.aborted) return;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }

  async #follow({ slot }: Presented, turn: number): Promise<void> {
    const { clock, connect } = this.around;
    const connection = await connect(slot);
    const wanted = () => turn === this.#turn && !this.#lost;
    if (!wanted()) return connection.close();
    this.#connection = connection;
    const reader = new RfbReader();
    const patience = new Patience(clock.monoMs());
    let rest: Uint8Array = new Uint8Array();
    while (wanted()) {
      const began = clock.monoMs();
      const bytes = rest.length > 0 ? rest : await readIn(connection, patience.left(reader, began));
      if (!wanted()) return;
      if (bytes === null) throw ended("the end of the connection", "closed");
      const work = clock.monoMs();
      const step = reader.take(bytes);
      rest = bytes.subarray(step.used);
      if (step.fault !== null) throw step.fault;
      this.#take(step);
      const worked = clock.monoMs() - work;
      await sayIn(connection, step.say);
      const kinds = new Set(step.events.map((one) => one.type));
      if (kinds.has("updated")) {
        const picture = this.#picture;
        this.#composition.drawGuest(picture, picture.takeChanged(), this.#pointer());
        await this.#paint(wanted);
      }
      // However much it has to say: what is whole is followed by a pause, as long as the work at least, so
      // that a guest which has much done for few bytes takes half of the time and no more.
      const pause = Math.max(FRAME_MS - (clock.monoMs() - began), worked);
      const whole = reader.phase === "idle" || kinds.has("updated");
      if (whole && pause > 0) await clock.sleep(pause, this.#over.signal);
      if (!wanted() || !(kinds.has("ready") || kinds.has("updated"))) continue;
      const incremental = !kinds.has("size");
      await sayIn(connection, [{ say: "update", incremental, ...reader.size }]);
    }
  }

  #take({ events }: RfbStep): void {
    for (const event of events) {
      if (event.type === "row") this.#picture.put(event.x, event.y, event.pixels);
      else if (event.type === "copy") this.#picture.copy(event.fromX, event.fromY, event);
      else if (event.type === "cursor") this.#cursor = event.cursor;
      else if (event.type === "size") {
        this.#picture = new Surface(event.width, event.height);
        this.#composition.clear();
      }
    }
  }

  async #paint(wanted: () => boolean): Promise<void> {
    const { frame, layout } = this.around;
    // A timer, not the clock: what waits meanwhile has its turn, and no time passes.
    const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
    await paint(frame, layout, this.#composition.canvas, pause, () => wanted() && !this.#lost);
  }

  /** Nobody sees anything any more: nobody is presented. */
  #lose(error: unknown): void {
    if (this.#lost) return;
    this.#lost = true;
    this.around.report(asFault(error, "screen", "screen.failed"));
    this.#connection?.close();
    this.around.frame.close();
    this.#over.abort();
    this.#fresh.abort();
    const { vm } = this.#presented ?? { vm: null };
    if (vm !== null || this.#shell !== null) this.around.hide(vm);
  }
}

async function readIn(connection: Connection, ms: number | null): Promise<Uint8Array | null> {
  if (ms === null) return await connection.read();
  try {
    return await within(ms, "picture", connection.read());
  } catch {
    throw ended("half of something, and no end of it", "late");
  }
}

async function sayIn(connection: Connection, messages: RfbStep["say"]): Promise<void> {
  try {
    await within(SAY_MS, "picture", say(connection, messages));
  } catch {
    throw ended("nothing and takes nothing", "deaf");
  }
}

function ended(what: string, code: string): Fault {
  return new Fault("screen", `rfb.${code}`, `picture: QEMU gives ${what}; the guest is hidden`);
}
