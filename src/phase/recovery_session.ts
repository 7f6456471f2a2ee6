/**
 * One person at the recovery shell, at whatever terminal: reads lines, has what they ask for decided and
 * carried out like any other request, and shows the answers. It holds no decision but two: a shell that
 * nobody used for a while is locked again, and what makes no sense at this terminal is not asked for.
 */

import type { Outcome } from "../control/protocol.ts";
import { asFault } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import type { Caller, Op } from "../policy/ops.ts";
import type { Asked } from "../recovery/commands.ts";
import { type Edited, LineEditor, type Reading, type Screen } from "../recovery/line_editor.ts";
import { PastedPolicy } from "../recovery/paste.ts";
import { renderDenied, renderResult } from "../recovery/render.ts";
import { complete, type Names, onLine, renderHelp } from "../recovery/shell.ts";
import { renderWhy, type Why } from "../recovery/why.ts";
import type { Runtime } from "../runtime.ts";
import { crashedOf, listGuests } from "./host_view.ts";
import { hasPassphrase, nextWait } from "./recovery_unlock.ts";

/** So long a shell stays open that nobody types into. */
const OPEN_MS = 15 * 60_000;

/** Where a person sits. */
export interface Terminal {
  readonly screen: Screen;
  /** What is typed, as a terminal sends it, until there is nobody any more. */
  readonly keys: AsyncIterator<Uint8Array>;
  /** Whether nobody is there any more: a line that waits is not carried out then. */
  readonly isLeft: () => boolean;
  readonly say: (text: string) => void;
  /**
   * The serial line: a text can be pasted there and a root shell stands there, and there is nothing else to see.
   * Else it is the host's screen, where the shell can be left.
   */
  readonly serial: boolean;
}

export class RecoverySession {
  readonly #editor: LineEditor;
  #usedAt: number;
  /** It may change things: the passphrase was given here, or a developer's image asks for none. */
  #open: boolean;

  constructor(readonly runtime: Runtime, readonly terminal: Terminal) {
    this.#editor = new LineEditor({
      screen: terminal.screen,
      complete: (before) => complete(before, namesOf(runtime)),
    });
    this.#usedAt = runtime.host.clock.monoMs();
    this.#open = runtime.image.profile === "developer";
  }

  /** Text over the line that is being typed. */
  above(text: string): void {
    this.#say(this.#editor.hide() + text + this.#editor.paint());
  }

  /** Serves until the terminal ends, or is left. */
  async serve(): Promise<void> {
    this.#say(renderWhy(this.#why()));
    while (true) {
      const access = this.#why().access;
      const edited = await this.#read(access === "open" ? "rayos> " : `rayos ${access}> `);
      if (edited === null) return;
      this.#lockIfUnused();
      if (edited.kind === "end" && !this.terminal.serial) return;
      if (edited.kind !== "line") continue;
      const asked = onLine(edited.text);
      if (asked.kind === "own" && asked.what === "exit" && !this.terminal.serial) return;
      const outcome = await this.#tried(asked);
      // The machine ends in a moment: nothing more is asked of a person.
      if (outcome?.ok && isEnding(outcome.result)) return;
    }
  }

  #say(text: string): void {
    this.terminal.say(text);
  }

  #why(): Why {
    const { runtime } = this;
    const access = this.#open ? "open" : hasPassphrase(runtime) ? "locked" : "closed";
    return {
      mode: runtime.mode,
      troubles: runtime.troubles,
      crashed: crashedOf(runtime),
      strangers: runtime.strangers().map((one) => one.name),
      access,
    };
  }

  /** The next line; null where the console ended. */
  async #read(prompt: string, reading: Reading = "command"): Promise<Edited | null> {
    this.#say(this.#editor.begin(prompt, reading));
    while (!this.terminal.isLeft()) {
      const { out, edited } = this.#editor.next();
      if (out !== "") this.#say(out);
      if (edited !== null) return edited;
      const { value, done } = await this.terminal.keys.next();
      if (done) return null;
      this.#editor.feed(value);
    }
    return null;
  }

  #lockIfUnused(): void {
    const { runtime } = this;
    const now = runtime.host.clock.monoMs();
    const unused = now - this.#usedAt > OPEN_MS;
    this.#usedAt = now;
    if (!unused || !this.#open || runtime.image.profile === "developer") return;
    this.#open = false;
    this.#say("nobody was here for a while: the shell is locked again\n");
  }

  /** Whatever goes wrong on the way, the shell stays. */
  async #tried(asked: Asked): Promise<Outcome | null> {
    try {
      return await this.#carryOut(asked);
    } catch (error) {
      const { code, message } = asFault(error, "recovery", "recovery.failed");
      this.#say(renderDenied(code, message));
      return null;
    }
  }

  /** @returns the host's answer, where the host was asked */
  async #carryOut(asked: Asked): Promise<Outcome | null> {
    switch (asked.kind) {
      case "text":
        this.#say(asked.text);
        return null;
      case "op": {
        if (asked.op === "recovery.shell" && !this.terminal.serial) {
          this.#say("a root shell needs a terminal of its own: ask for it on the serial line\n");
          return null;
        }
        if (asked.console && this.terminal.serial) {
          this.#say(`${asked.op} is asked for at the host's own screen, after the chord\n`);
          return null;
        }
        const outcome = await this.#ask(asked.op, asked.args, asked.console && "console");
        this.#show(outcome, (result) => renderResult(asked.shown, result, asked.only));
        return outcome;
      }
      case "own":
        await this.#own(asked);
        return null;
    }
  }

  #ask(
    op: Op,
    args: Readonly<Record<string, unknown>>,
    caller: Caller = "recovery",
  ): Promise<Outcome> {
    return this.runtime.handle(caller, op, args, this.#open);
  }

  #show(outcome: Outcome, render: (result: unknown) => string): void {
    this.#say(outcome.ok ? render(outcome.result) : renderDenied(outcome.rule, outcome.detail));
  }

  async #own({ what, word, dryRun }: Extract<Asked, { kind: "own" }>): Promise<void> {
    const { runtime } = this;
    switch (what) {
      case "why":
        return this.#say(renderWhy(this.#why()));
      case "help":
        return this.#say(renderHelp(word ?? ""));
      case "exit":
        return this.#say("this is the serial line's only shell; `retry` starts the boot again\n");
      case "retry":
        if (runtime.mode === "normal") {
          return this.#say("the host is in normal mode: there is nothing to try again\n");
        }
        // An end that is under way is not turned into a start.
        return runtime.ending ? undefined : runtime.restart();
      case "lock":
        this.#open = false;
        return this.#say("locked\n");
      case "terminal":
        this.#editor.screen = { ...this.terminal.screen, plain: word === "dumb" };
        return;
      case "unlock":
        return await this.#unlock();
      case "paste":
        return await this.#paste(dryRun);
    }
  }

  async #unlock(): Promise<void> {
    const { runtime } = this;
    if (!hasPassphrase(runtime)) {
      return this.#say("no accepted policy has a recovery passphrase: this shell only looks\n");
    }
    const typed = await this.#read("recovery passphrase: ", "hidden");
    if (typed?.kind !== "line" || typed.text === "") return;
    const { failed, waitMs } = nextWait(runtime);
    if (waitMs > 0) {
      this.#say(`${failed} attempts failed before; the answer comes in ${waitMs / 1000} s\n`);
    }
    const passphrase = new TextEncoder().encode(typed.text);
    const outcome = await this.#ask("recovery.unlock", { passphrase });
    this.#open = outcome.ok;
    this.#show(outcome, () => "unlocked; `lock` when you are done\n");
  }

  async #paste(dryRun: boolean): Promise<void> {
    if (!this.terminal.serial) {
      return this.#say(
        "nothing can be pasted here: `policy install FILE`, or use the serial line\n",
      );
    }
    this.#say(
      "Paste the policy as base64, a line with a dot, its signature file, a dot again.\n" +
        "What prints that: { base64 F; echo .; cat F.minisig; echo .; }\n" +
        "Ctrl-C leaves it.\n",
    );
    const pasted = new PastedPolicy();
    for (let count = 1;; count++) {
      const typed = await this.#read("", "quiet");
      if (typed?.kind !== "line") return this.#say("\nnothing was installed\n");
      const step = pasted.take(typed.text);
      if (count % 10 === 0) this.#say(".");
      if (step === "more") continue;
      this.#say("\n");
      if (step === "done") break;
      const why = step === "too_much" ? "it is larger than a policy may be" : "this is no base64";
      return this.#say(`line ${count}: ${why}; nothing was installed\n`);
    }
    const args = { ...pasted.args, ...dryRun ? { dry_run: true } : {} };
    const outcome = await this.#ask("policy.install", args);
    this.#show(outcome, (result) => renderResult("installed", result));
  }
}

function isEnding(result: unknown): boolean {
  return (result as { ending?: unknown } | null)?.ending === true;
}

/** What there is to name, for Tab. */
function namesOf(runtime: Runtime): Names {
  const { host } = runtime;
  const root = PATHS.dataRoot;
  const files = (folder: string, pattern: RegExp) => () =>
    host.list(`${root}/${folder}`).filter((name) => pattern.test(name))
      .map((name) => `${folder}/${name}`);
  return {
    guest: () => listGuests(runtime).map((one) => String(one["vm"])),
    policy: files("policy", /\.toml(\.previous)?$/),
    registry: files("vm", /^registry\.json/),
    crash: () => host.list(`${root}/crash`),
    aside: files("vm", /^registry\.json\.aside/),
    subject: () => ["host", ...runtime.inForce?.policy.profiles.keys() ?? []],
  };
}
