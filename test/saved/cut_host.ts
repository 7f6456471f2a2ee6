/**
 * A fake host whose disk can lose its power: what was not brought to the disk is lost, or kept up to
 * some point, as a journaling file system would have it. Every change is a step that can be the last.
 */

import assert from "node:assert/strict";
import type { FileFacts, NewFile } from "../../src/host/port.ts";
import { FakeHost } from "../fake_host.ts";

/** The power went, or the program was killed. */
export class Cut extends Error {}

interface Node {
  readonly inode: number;
  bytes: Uint8Array;
  /** What of it is on the disk. */
  durable: Uint8Array;
  modifiedMs: number;
  /** Of the last write or change of its facts; nothing sets it back. */
  changedMs: number;
}

export class CutHost extends FakeHost {
  /** Steps taken so far, and the one that is never done. */
  steps = 0;
  cutAt = Infinity;
  #names = new Map<string, Node>();
  #durableNames = new Map<string, Node>();
  /** Changes of names that are not on the disk yet, in order. */
  #pending: (() => void)[] = [];
  #nextInode = 100;
  #tick = 1000;

  /** One change of the machine. @throws Cut at the step that is the last, and ever after */
  step(): void {
    if (++this.steps >= this.cutAt) throw new Cut("cut");
  }

  /** The machine comes up again, with that share (0 to 1) of what the disk had not taken for sure. */
  powerCycle(kept: number): void {
    for (const change of this.#pending.slice(0, Math.round(this.#pending.length * kept))) change();
    this.#pending = [];
    this.#names = new Map(this.#durableNames);
    for (const node of this.#names.values()) node.bytes = node.durable;
  }

  override seed(path: string, content: string | Uint8Array): void {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const old = this.#names.get(path);
    const node = old ??
      { inode: this.#nextInode++, bytes, durable: bytes, modifiedMs: 0, changedMs: 0 };
    node.bytes = node.durable = bytes;
    node.modifiedMs = node.changedMs = this.#tick++;
    this.#names.set(path, node);
    this.#durableNames.set(path, node);
  }

  /** utimes(2): whoever wrote the file says when that was. */
  setModified(path: string, modifiedMs: number): void {
    const node = this.#names.get(path);
    assert.ok(node !== undefined, `${path} is not there`);
    node.modifiedMs = modifiedMs;
    node.changedMs = this.#tick++;
  }

  contentOf(path: string): Uint8Array | null {
    return this.#names.get(path)?.bytes ?? null;
  }

  override lstat(path: string): FileFacts | null {
    const node = this.#names.get(path);
    if (node === undefined) return super.lstat(path);
    return {
      type: "file",
      size: node.bytes.length,
      uid: 0,
      links: 1,
      device: 1,
      inode: node.inode,
      modifiedMs: node.modifiedMs,
      changedMs: node.changedMs,
      ...this.facts.get(path),
    };
  }

  override read(path: string, limit: number): Uint8Array | null {
    const bytes = this.contentOf(path);
    assert.ok(bytes === null || bytes.length <= limit, `${path} is larger than ${limit}`);
    return bytes ?? super.read(path, limit);
  }

  override head(path: string, length: number): Uint8Array | null {
    return this.contentOf(path)?.subarray(0, length) ?? super.head(path, length);
  }

  override list(path: string): string[] {
    const names = [...this.#names.keys(), ...this.directories].filter((one) =>
      one.startsWith(`${path}/`)
    );
    return [...new Set(names.map((one) => one.slice(path.length + 1).split("/")[0] ?? ""))].sort();
  }

  #name(change: (names: Map<string, Node>) => void): void {
    change(this.#names);
    this.#pending.push(() => change(this.#durableNames));
  }

  override replace(path: string, content: Uint8Array | string): void {
    this.step();
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const now = this.#tick++;
    const inode = this.#nextInode++;
    const node = { inode, bytes, durable: bytes, modifiedMs: now, changedMs: now };
    this.#name((names) => names.set(path, node));
    this.step();
    this.#sync();
  }

  /** The audit log is cut in tests of its own. */
  override overwrite(path: string, bytes: Uint8Array): void {
    const node = this.#names.get(path);
    if (node === undefined) return super.overwrite(path, bytes);
    node.bytes = node.durable = bytes;
  }

  override remove(path: string): void {
    this.step();
    this.#name((names) => names.delete(path));
  }

  override rename(from: string, to: string): void {
    this.step();
    const node = this.#names.get(from);
    assert.ok(node !== undefined, `rename of ${from}, which is not there`);
    this.#name((names) => {
      names.delete(from);
      names.set(to, node);
    });
  }

  override syncDirectory(path: string): void {
    this.step();
    this.#sync();
    this.namesSynced(path);
  }

  #sync(): void {
    for (const change of this.#pending) change();
    this.#pending = [];
  }

  override create(path: string): NewFile {
    this.step();
    assert.ok(!this.#names.has(path), `${path} is there already`);
    const none = new Uint8Array();
    const inode = this.#nextInode++;
    const node: Node = { inode, bytes: none, durable: none, modifiedMs: 0, changedMs: 0 };
    this.#name((names) => names.set(path, node));
    let done = false;
    const append = (bytes: Uint8Array) => {
      this.step();
      const whole = new Uint8Array(node.bytes.length + bytes.length);
      whole.set(node.bytes);
      whole.set(bytes, node.bytes.length);
      node.bytes = whole;
      return Promise.resolve();
    };
    return {
      get size() {
        return node.bytes.length;
      },
      append,
      skip: (length) => append(new Uint8Array(length)),
      finish: () => {
        this.step();
        assert.ok(!done, "finished twice");
        done = true;
        node.durable = node.bytes;
        return Promise.resolve();
      },
      abandon: () => {},
    };
  }

  override open(path: string) {
    const node = this.#names.get(path);
    if (node === undefined) return null;
    const { bytes, inode } = node;
    return {
      size: bytes.length,
      inode,
      read: (position: number, length: number) =>
        Promise.resolve(bytes.slice(position, position + length)),
      close: () => {},
    };
  }
}
