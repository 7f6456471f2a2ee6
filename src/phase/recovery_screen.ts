/**
 * The recovery shell on the host's screen, at the host's own keyboard: by the secure attention chord and a
 * word after it, and at once where the host is not in normal mode. What the gate says is typed for the host
 * comes here and nowhere else, and only while it is asked; nothing of it is reported or kept. Each time when
 * the shell is opened it is a new one, locked as the image has it.
 */

import { asFault } from "../fault.ts";
import type { HostView, Typed } from "../presentation/gate.ts";
import type { HostSeat } from "../presentation/presenter.ts";
import type { Screen } from "../presentation/screen.ts";
import { bytesOf, lookingBackOf, Question } from "../recovery/host_keys.ts";
import { KeyQueue } from "../recovery/key_queue.ts";
import { TextGrid } from "../recovery/text_grid.ts";
import type { Runtime } from "../runtime.ts";
import { RecoverySession } from "./recovery_session.ts";

/** What a shell needs of the screen. */
export type ShellScreen = Pick<Screen, "surface" | "room" | "turnTo" | "refresh">;

/** From here on the host can be asked at its own screen. The boot is over. */
export function beginScreenShell(runtime: Runtime, screen: ShellScreen): void {
  const { presenter } = runtime;
  presenter.seat = new ScreenSeat(runtime, screen);
  if (runtime.mode !== "normal") void presenter.ask({ type: "open_shell" });
}

/** One shell, from its opening to its end. */
interface OpenShell {
  readonly grid: TextGrid;
  readonly keys: KeyQueue;
}

class ScreenSeat implements HostSeat {
  #question = new Question();
  #shell: OpenShell | null = null;

  constructor(readonly runtime: Runtime, readonly screen: ShellScreen) {}

  readonly sees = (): boolean => this.screen.surface === "fb";

  readonly unasked = (): boolean => this.runtime.mode !== "normal";

  readonly turned = (view: HostView): void => {
    this.#shell?.keys.end();
    this.#shell = null;
    this.#question = new Question();
    if (view === "shell") this.#open();
    else this.screen.turnTo(null);
  };

  readonly typed = ({ to, ...pressed }: Typed): void => {
    if (to === "asked") {
      // Not from within what the gate is doing right now.
      if (this.#question.take(pressed)) this.#ask("open_shell");
      return;
    }
    if (this.#shell === null) return;
    const { grid, keys } = this.#shell;
    const way = lookingBackOf(pressed);
    if (way === null) return keys.put(bytesOf(pressed));
    grid.look(way);
    this.screen.refresh();
  };

  #ask(type: "open_shell" | "close_shell"): void {
    queueMicrotask(() => void this.runtime.presenter.ask({ type }));
  }

  #open(): void {
    const { runtime, screen } = this;
    const { columns, lines } = screen.room;
    const grid = new TextGrid(columns, lines);
    const keys = new KeyQueue();
    const shell = { grid, keys };
    this.#shell = shell;
    runtime.emit({ type: "recovery_entered", shell: "screen" });
    const session = new RecoverySession(runtime, {
      screen: { columns, plain: false },
      keys,
      isLeft: () => this.#shell !== shell,
      say: (text) => {
        grid.put(text);
        // One that was left meanwhile has nothing to show.
        if (this.#shell === shell) screen.refresh();
      },
      serial: false,
    });
    screen.turnTo(grid);
    void this.#serve(session, shell);
  }

  async #serve(session: RecoverySession, shell: OpenShell): Promise<void> {
    try {
      await session.serve();
    } catch (error) {
      const { stage, code, message } = asFault(error, "recovery", "recovery.failed");
      this.runtime.emit({ type: "fault", stage, code, message });
    }
    if (this.#shell === shell) this.#ask("close_shell");
  }
}
