/**
 * The recovery shell at the serial console: reads lines, has what they ask for decided and carried out like
 * any other request, and shows the answers. Log lines that come meanwhile are put above the line that is
 * being typed. It holds no decision but one: a shell that nobody used for a while is locked again.
 */

import type { Outcome } from "../control/protocol.ts";
import { asFault } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import type { Asked } from "../recovery/commands.ts";
import { type Edited, LineEditor, type Reading } from "../recovery/line_editor.ts";
import { PastedPolicy } from "../recovery/paste.ts";
import { renderDenied, renderResult } from "../recovery/render.ts";
import { complete, type Names, onLine, renderHelp } from "../recovery/shell.ts";
import { renderWhy, type Why } from "../recovery/why.ts";
import type { Runtime } from "../runtime.ts";
import { listGuests } from "./host_view.ts";
import { hasPassphrase, nextWait } from "./recovery_unlock.ts";

/** So long a shell stays open that nobody types into. */
const OPEN_MS = 15 * 60_000;

/** Serves until the console or the program ends. */
export async function serveRecovery(runtime: Runtime): Promise<void> {
  const { host, sinks } = runtime;
  // What a developer's image does not ask for.
  runtime.recoveryOpen = runtime.image.profile === "developer";
  const shell = new RecoveryConsole(runtime);
  sinks.toConsole = (text) => shell.above(text);
  try {
    await shell.serve();
  } finally {
    await shell.end();
    sinks.toConsole = (text) => host.console(text);
  }
}

class RecoveryConsole {
  readonly #editor: LineEditor;
  readonly #keys: AsyncIterator<Uint8Array>;
  #usedAt: number;

  constructor(readonly runtime: Runtime) {
    const { host } = runtime;
    this.#editor = new LineEditor({
      screen: host.consoleScreen(),
      complete: (before) => complete(before, namesOf(runtime)),
    });
    this.#keys = host.consoleKeys()[Symbol.asyncIterator]();
    this.#usedAt = host.clock.monoMs();
  }

  /** Text over the line that is being typed. */
  above(text: string): void {
    this.runtime.host.console(this.#editor.hide() + text + this.#editor.paint());
  }

  /** Gives the terminal back. */
  async end(): Promise<void> {
    await this.#keys.return?.();
  }

  async serve(): Promise<void> {
    this.#say(renderWhy(this.#why()));
    while (true) {
      const access = this.#why().access;
      const edited = await this.#read(access === "open" ? "rayos> " : `rayos ${access}> `);
      if (edited === null) return;
      this.#lockIfUnused();
      if (edited.kind !== "line") continue;
      const outcome = await this.#tried(onLine(edited.text));
      // The machine ends in a moment: nothing more is asked of a person.
      if (outcome?.ok && isEnding(outcome.result)) return;
    }
  }

  #say(text: string): void {
    this.runtime.host.console(text);
  }

  #why(): Why {
    const { runtime } = this;
    const access = runtime.recoveryOpen ? "open" : hasPassphrase(runtime) ? "locked" : "closed";
    return { mode: runtime.mode, troubles: runtime.troubles, access };
  }

  /** The next line; null where the console ended. */
  async #read(prompt: string, reading: Reading = "command"): Promise<Edited | null> {
    this.#say(this.#editor.begin(prompt, reading));
    while (true) {
      const { out, edited } = this.#editor.next();
      if (out !== "") this.#say(out);
      if (edited !== null) return edited;
      const { value, done } = await this.#keys.next();
      if (done) return null;
      this.#editor.feed(value);
    }
  }

  #lockIfUnused(): void {
    const { runtime } = this;
    const now = runtime.host.clock.monoMs();
    const unused = now - this.#usedAt > OPEN_MS;
    this.#usedAt = now;
    if (!unused || !runtime.recoveryOpen || runtime.image.profile === "developer") return;
    runtime.recoveryOpen = false;
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
        const outcome = await this.runtime.handle("recovery", asked.op, asked.args);
        const only = asked.args["only"];
        this.#show(outcome, (result) => renderResult(asked.shown, result, only));
        return outcome;
      }
      case "own":
        await this.#own(asked);
        return null;
    }
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
      case "retry":
        // An end that is under way is not turned into a start.
        return runtime.ending ? undefined : runtime.restart();
      case "lock":
        runtime.recoveryOpen = false;
        return this.#say("locked\n");
      case "terminal":
        this.#editor.screen = { columns: 80, plain: word === "dumb" };
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
    const outcome = await runtime.handle("recovery", "recovery.unlock", { passphrase });
    this.#show(outcome, () => "unlocked; `lock` when you are done\n");
  }

  async #paste(dryRun: boolean): Promise<void> {
    const { runtime } = this;
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
    const outcome = await runtime.handle("recovery", "policy.install", args);
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
