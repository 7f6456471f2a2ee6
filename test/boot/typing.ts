/**
 * Somebody who types at the host's own keyboard while guests are switched, and what is needed to say
 * afterwards which key was typed when: a second reader of the keyboard, the host's lines and its one clock.
 */
import assert from "node:assert/strict";
import type { LogLine } from "../../tools/boot_log.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import { readDataDisk } from "../../tools/data_disk.ts";
import {
  deliveries,
  type HostKey,
  keysIn,
  type Turn,
  type Verdict,
} from "../presentation/deliveries.ts";
import { askInside } from "./inside.ts";
import { FULL, type Home } from "./machine.ts";
import { done, request } from "./request.ts";
import { fileOn } from "./several.ts";

/** Codes of keys, as the kernel's input-event-codes.h has them. */
const ROWS: readonly (readonly [first: number, names: string])[] = [
  [2, "1234567890"],
  [16, "qwertyuiop"],
  [30, "asdfghjkl"],
  [44, "zxcvbnm"],
];
export const CODES: ReadonlyMap<number, string> = new Map([
  [29, "ctrl"],
  [42, "shift"],
  [56, "alt"],
  ...ROWS.flatMap(([first, names]) => [...names].map((name, n) => [first + n, name] as const)),
]);
const SIGNS = ROWS.flatMap(([, names]) => [...names]);
/** The key that is held over a switch. */
const HELD = "shift";

/** Where the second reader's words end up on the data disk. */
const WITNESS = "host-keys";
/** A key counts as near a switch that long before it was asked for and after it was over, in milliseconds. */
const NEAR_MS = 20;
/**
 * The program reads a key at most that late, in milliseconds: one that was typed longer before a switch was
 * asked for stands before it in the gate's queue.
 */
const READ_MS = 500;
/**
 * Milliseconds that the host needs for a key, as is believed at first and at least; from then on what a key took of
 * those that were typed around the last switch, until the host had passed all of them on. What waits at the gate for
 * five seconds goes nowhere: an emulated host takes some ten keys a second.
 */
const FIRST_KEY_MS = 150;
const KEY_MS = 30;
/** From key to key while a switch is under way. */
const FAST_MS = 6;
/** Never is more typed ahead than what the host needs so many milliseconds for. */
const MOST_AHEAD_MS = 3_000;
/** Keys by which its pace is seen before the first switch. */
const FIRST_KEYS = 4;
/** Keys that may be lacking: the judgement takes a second for them, and hours for ten times as many. */
const MOST_LACKING = 25;
const SWITCH_MS = 120_000;

/** The n-th key that is typed: no few keys in a row come again soon. */
const signAt = (n: number): string =>
  SIGNS[(n * 17 + Math.floor(n / SIGNS.length) * 5) % SIGNS.length] ?? "";

/** Presses or releases keys of the host's own keyboard, all at one time. */
export async function strike(
  run: BootRun,
  ...strokes: readonly (readonly [down: boolean, name: string])[]
): Promise<void> {
  const events = strokes.map(([down, data]) => ({
    type: "key",
    data: { down, key: { type: "qcode", data } },
  }));
  await run.qmp("input-send-event", { events });
}

/** Strikes the secure attention chord. */
export async function strikeChord(run: BootRun): Promise<void> {
  for (const down of [true, false]) {
    for (const name of ["ctrl", "alt", "pause"]) await strike(run, [down, name]);
  }
}

/** What the presented guest has of the chord: Ctrl and Alt went down, and are up when it is left. */
const CHORD = ["+ctrl", "+alt", "-alt", "-ctrl"];

/** A list without the chord that ended it, which it must have. */
export function withoutChord(list: readonly string[]): string[] {
  assert.deepEqual(list.slice(-CHORD.length), CHORD);
  return list.slice(0, -CHORD.length);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A switch that was made. */
interface Switch {
  /** Who is presented from then on; null: nobody. */
  readonly who: number | null;
  /** When it was asked for, and when it was over, in milliseconds of the host's clock. */
  readonly asked: number;
  readonly over: number;
}

/** How much is typed. */
export interface Amounts {
  readonly switches: number;
  /** Keys from one switch to the next: at a pace, then at once before the switch, then while it is made. */
  readonly calm: number;
  readonly before: number;
  readonly during: number;
}

/** What the usual run types: no more at once than an emulated machine takes in time. */
export const USUAL: Amounts = { switches: 20, calm: 14, before: 3, during: 8 };

/** Where the figures that are claimed come from. */
export interface Counted {
  readonly keys: number;
  readonly switches: number;
  readonly near: number;
  readonly held: number;
  readonly unseen: number;
  /** What the host says it gave to nobody, since it had waited too long: this machine was too slow for the pace. */
  readonly dropped: number;
  /** Milliseconds that the slowest switch took. */
  readonly slowestMs: number;
}

export type TypingVerdict = Verdict & { readonly counted: Counted };

/**
 * Asserts that all of it holds, and that it was as much as is claimed; says how much. A few keys that the host says
 * it dropped may be lacking in a usual run, which shares its machine, and one of a thousand in a full one.
 */
export function assertTyped(
  { wrong, counted }: TypingVerdict,
  least: Pick<Counted, "keys" | "switches" | "held">,
): void {
  const { keys, switches, near, held, unseen, dropped, slowestMs } = counted;
  const said =
    `${keys} keys over ${switches} switches, ${near} near one, ${held} with a key held, ${unseen} for nobody`;
  console.log(`${said}; ${dropped} dropped, as the host says; the slowest switch ${slowestMs} ms`);
  assert.deepEqual(wrong, []);
  assert.ok(keys >= least.keys && switches >= least.switches, said);
  assert.ok(near * 5 >= keys && held >= least.held && unseen > 0, said);
  assert.ok(!FULL || dropped * 1000 <= keys, `${dropped} keys were dropped`);
}

/** One typing. The first of the guests is presented when it begins. */
export class Typing {
  /** What went down, in order. */
  readonly typed: string[] = [];
  readonly #switches: Switch[] = [];
  #keyMs = FIRST_KEY_MS;
  /** When the host will have passed on what was typed. */
  #freeAt = 0;
  #shown: number | null = 0;

  constructor(readonly run: BootRun, readonly guests: readonly string[]) {}

  /** Begins to read the host's keyboards beside the program. */
  async begin(): Promise<void> {
    const each = "$bb cat $one > /run/typed.${one##*/} & echo $! >> /run/typing.pids";
    const all = `for one in /run/rayos/input/[0-7]; do ${each}; done`;
    await askInside(this.run, `do ${all}`, /inside done/u);
    await pause(500);
  }

  /** Ends that, and puts what was read where it is found after the boot. */
  async end(): Promise<void> {
    await pause(1000);
    const last = `$bb cat /run/typed.* > /var/rayos/${WITNESS}`;
    await askInside(this.run, `do kill $($bb cat /run/typing.pids); ${last}`, /inside done/u);
  }

  /** Types that many keys. */
  async tap(count: number, paceMs = this.#keyMs): Promise<void> {
    for (let n = 0; n < count; n++) {
      const sign = signAt(this.typed.length);
      this.typed.push(sign);
      await strike(this.run, [true, sign], [false, sign]);
      await pause(paceMs);
    }
  }

  /** The same, where the host has to pass them on in time: when too much is ahead of a key, it is typed later. */
  async #tapInTime(count: number, paceMs: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      await pause(Math.max(0, this.#freeAt - performance.now() - MOST_AHEAD_MS));
      this.#freeAt = Math.max(this.#freeAt, performance.now()) + this.#keyMs;
      await this.tap(1, paceMs);
    }
  }

  /** Types while it is switched from one to the other, and to nobody. */
  async overSwitches({ switches, calm, before, during }: Amounts): Promise<void> {
    const order = [1, 0, null, 1, 0];
    const began = performance.now();
    await this.tap(FIRST_KEYS, 0);
    await this.#caughtUp(FIRST_KEYS, began);
    for (let n = 0; n < switches; n++) {
      const hold = n % 3 === 0;
      await this.#tapInTime(calm - (hold ? 1 : 0), this.#keyMs);
      if (hold) await this.press();
      const since = performance.now();
      // They wait at the gate when the switch is asked for, so that it takes a while.
      await this.#tapInTime(before, 0);
      const someone = this.#shown !== null;
      await this.switchTo(order[n % order.length] ?? null, during);
      if (hold) await this.release();
      // What is typed for nobody takes the host no time.
      if (someone) await this.#caughtUp(before + during, since);
    }
    await this.tap(calm);
  }

  /** Presses a key that stays down. */
  async press(): Promise<void> {
    this.typed.push(HELD);
    await strike(this.run, [true, HELD]);
  }

  /** Lets go of it, where it is down. */
  async release(): Promise<void> {
    await strike(this.run, [false, HELD]);
  }

  /** Asks for a switch and types that many keys meanwhile. */
  async switchTo(who: number | null, during: number): Promise<void> {
    const { run, guests } = this;
    const from = run.lines.length;
    const [op, vm] = who === null
      ? ["hide", guests[this.#shown ?? 0] ?? ""]
      : ["present", guests[who] ?? ""];
    await request(run, op, { vm });
    const asked = await run.waitFor(`RAYOS_HOST_EVENT_V0:${op}:${vm}`, SWITCH_MS, from);
    const ended = run.waitFor(
      `RAYOS_PRESENTATION:${who === null ? "off" : "on"} vm=${vm}`,
      SWITCH_MS,
      from,
    );
    // Whoever is waited for below; a failure is told there.
    ended.catch(() => {});
    await this.#tapInTime(during, FAST_MS);
    const over = await ended;
    this.note(who, timeOf(asked), timeOf(over));
  }

  /**
   * Waits until the host has passed on all that was typed: a key that is up already is let go of by command, which
   * takes its turn after all of it.
   *
   * @param keys how many were typed since then
   */
  async #caughtUp(keys: number, since: number): Promise<void> {
    const shown = this.#shown;
    if (shown === null) return;
    await done(this.run, "input.key", {
      vm: this.guests[shown] ?? "",
      keys: ["alt"],
      act: "release",
    });
    this.#freeAt = performance.now();
    this.#keyMs = Math.max(KEY_MS, (this.#freeAt - since) / keys);
  }

  /** A switch that the host made by itself, or that was asked for in another way. */
  note(who: number | null, asked: number, over: number): void {
    this.#shown = who;
    this.#switches.push({ who, asked, over });
  }

  /** Every key as the host's kernel had it; asserts that it is what was typed. */
  #seen(disk: string): HostKey[] {
    const seen = keysIn(readDataDisk(disk, WITNESS) ?? new Uint8Array());
    const names = seen.filter((key) => key.down).map(({ code }) => CODES.get(code) ?? String(code));
    assert.deepEqual(names, this.typed, "the host's keyboard said what was typed at it");
    return seen;
  }

  /** Holds what the guests have against all of it. */
  judge(disk: string, received: readonly (readonly string[])[]): TypingVerdict {
    const seen = this.#seen(disk);
    const downs = seen.filter((key) => key.down).map((key) => key.atMs);
    const typedBy = (ms: number) => downs.filter((at) => at < ms).length;
    const turns: Turn[] = [{ who: 0, from: 0, by: 0 }];
    const times = this.#switches;
    for (const { who, asked, over } of times) {
      assert.ok(over >= asked, `a switch that was over ${asked - over} ms before it was asked for`);
      // A line's time has no parts of a millisecond.
      turns.push({ who, from: typedBy(asked - READ_MS), by: typedBy(over + 1) });
    }
    const near =
      downs.filter((at) =>
        times.some(({ asked, over }) => at >= asked - NEAR_MS && at <= over + NEAR_MS)
      ).length;
    const held = times.filter(({ asked, over }) => heldOver(seen, asked, over)).length;
    const lines = this.run.lines.filter((line) => line.event === "input_dropped");
    const dropped = lines.reduce((sum, line) => sum + Number(line.fields["count"]), 0);
    const verdict = dropped > MOST_LACKING
      ? { cuts: [], wrong: [`the host dropped ${dropped} keys: it was too slow to judge by them`] }
      : deliveries(this.typed, turns, received, dropped);
    const { cuts } = verdict;
    const unseen = turns.reduce(
      (sum, { who }, n) =>
        who === null ? sum + (cuts[n + 1] ?? downs.length) - (cuts[n] ?? 0) : sum,
      0,
    );
    const slowestMs = Math.max(0, ...times.map(({ asked, over }) => over - asked));
    const keys = downs.length;
    const counted = { keys, switches: times.length, near, held, unseen, dropped, slowestMs };
    return { ...verdict, counted };
  }
}

function timeOf(line: LogLine): number {
  const at = Date.parse(line.ts);
  assert.ok(!Number.isNaN(at), `a line without a time: ${line.text}`);
  return at;
}

/** Whether a key was down from before a switch was asked for until it was over. */
function heldOver(seen: readonly HostKey[], asked: number, over: number): boolean {
  const held = seen.filter(({ code }) => CODES.get(code) === HELD);
  const before = held.findLast(({ atMs }) => atMs < asked);
  return before?.down === true && !held.some(({ atMs }) => atMs >= asked && atMs <= over);
}

/** What a guest's kernel said of its keyboard, from its own disk: `+a` for a key that went down, `-a` for up. */
export function keysOf(disk: string, vm: string, home: Home): string[] {
  return keysIn(fileOf(disk, vm, "keys", home)).map(({ code, down }) =>
    `${down ? "+" : "-"}${CODES.get(code) ?? code}`
  );
}

/** A file of a guest's own disk; nothing where there is none. */
export function fileOf(disk: string, vm: string, name: string, home: Home): Uint8Array {
  const image = readDataDisk(disk, `vm/linux/${vm}/rootfs.ext4`) ?? new Uint8Array();
  return fileOn(image, name, home) ?? new Uint8Array();
}
