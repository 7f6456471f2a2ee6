/**
 * A disk under the audit log whose power can go at each change: what was not brought to it is lost, or kept
 * up to some point, and the write that was under way is done up to some byte. It can be full, too.
 */

import assert from "node:assert/strict";
import type { AppendFile, FileFacts } from "../../src/host/port.ts";
import { FakeHost } from "../fake_host.ts";

/** The power went. */
export class Cut extends Error {}

interface Kept {
  bytes: Uint8Array;
  /** What of it is on the disk for sure. */
  durable: Uint8Array;
  /** Whether its name is. */
  named: boolean;
}

export class CutDisk extends FakeHost {
  readonly kept = new Map<string, Kept>();
  steps = 0;
  cutAt = Infinity;
  /** How much of the write that is cut is done, and of what was not brought to the disk, 0 to 1. */
  share = 0;
  /** Bytes that it still takes. */
  room = Infinity;

  /** One change. The one that is cut is done in part. @returns how much of it is done */
  #step(): number {
    if (++this.steps > this.cutAt) throw new Cut("the power is gone");
    return this.steps === this.cutAt ? this.share : 1;
  }

  #end(done: number): void {
    if (done < 1 || this.steps === this.cutAt) throw new Cut("the power went");
  }

  /** The machine comes up again. */
  powerCycle(): void {
    for (const [path, one] of this.kept) {
      if (!one.named && this.share < 1) {
        this.kept.delete(path);
        continue;
      }
      const more = one.bytes.length - one.durable.length;
      const length = one.durable.length + Math.floor(more * this.share);
      one.bytes = one.durable = one.bytes.slice(0, length);
      one.named = true;
    }
    this.cutAt = Infinity;
  }

  text(path: string): string {
    return new TextDecoder().decode(this.kept.get(path)?.bytes);
  }

  override lstat(path: string): FileFacts | null {
    const one = this.kept.get(path);
    if (one === undefined) return null;
    const size = one.bytes.length;
    const facts = { uid: 0, links: 1, device: 1, inode: 1, modifiedMs: 0, changedMs: 0 };
    return { type: "file", size, ...facts };
  }

  override read(path: string, limit: number): Uint8Array | null {
    const bytes = this.kept.get(path)?.bytes ?? null;
    assert.ok(bytes === null || bytes.length <= limit, `${path} is larger than ${limit}`);
    return bytes;
  }

  override head(path: string, length: number): Uint8Array | null {
    return this.kept.get(path)?.bytes.subarray(0, length) ?? null;
  }

  override list(path: string): string[] {
    return [...this.kept.keys()].filter((one) => one.startsWith(`${path}/`))
      .map((one) => one.slice(path.length + 1)).sort();
  }

  override replace(path: string, content: Uint8Array | string): void {
    const done = this.#step();
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const own = Uint8Array.from(bytes);
    // By a sibling and a new name: all of it or nothing.
    if (done === 1) this.kept.set(path, { bytes: own, durable: own, named: true });
    this.#end(done);
  }

  override overwrite(path: string, bytes: Uint8Array): void {
    const done = this.#step();
    const one = this.kept.get(path);
    assert.ok(one !== undefined, `${path} is not there`);
    const whole = Uint8Array.from(one.bytes);
    whole.set(bytes.subarray(0, Math.floor(bytes.length * done)));
    one.bytes = one.durable = whole;
    this.#end(done);
  }

  override remove(path: string): void {
    const done = this.#step();
    if (done === 1) this.kept.delete(path);
    this.#end(done);
  }

  override syncDirectory(): void {
    const done = this.#step();
    if (done === 1) { for (const one of this.kept.values()) one.named = true; }
    this.#end(done);
  }

  override append(path: string): AppendFile {
    const none = new Uint8Array();
    const one = this.kept.get(path) ?? { bytes: none, durable: none, named: false };
    this.kept.set(path, one);
    const grow = (bytes: Uint8Array) => {
      const whole = new Uint8Array(one.bytes.length + bytes.length);
      whole.set(one.bytes);
      whole.set(bytes, one.bytes.length);
      one.bytes = whole;
    };
    return {
      get size() {
        return one.bytes.length;
      },
      append: (bytes) => {
        const done = this.#step();
        const taken = Math.min(Math.floor(bytes.length * done), this.room);
        grow(bytes.subarray(0, taken));
        this.room -= taken;
        this.#end(done);
        if (taken < bytes.length) throw new Error("ENOSPC: no space left on device");
      },
      sync: () => {
        const done = this.#step();
        if (done === 1) {
          one.durable = one.bytes;
          one.named = true;
        }
        this.#end(done);
      },
      close: () => {},
    };
  }
}
