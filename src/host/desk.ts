/**
 * What the command line needs of the machine besides the control socket: files that a person names,
 * time, randomness. Never used by the boot; every call goes through Deno's own permissions.
 */

import * as fs from "node:fs";
import { randomBytes } from "node:crypto";
import { Fault, reasonOf } from "../fault.ts";
import { askPassword } from "./terminal.ts";

export interface Desk {
  /** @throws Fault `file.unreadable`, beyond `limit` bytes too */
  read(path: string, limit: number): Uint8Array;
  /** Null where there is no such file. */
  readOptional(path: string, limit: number): Uint8Array | null;
  /** Writes or replaces a file. */
  write(path: string, text: string): void;
  /** Writes a file 0600 that must not be there yet. @throws Fault `file.exists` */
  writeSecret(path: string, content: string | Uint8Array): void;
  exists(path: string): boolean;
  now(): Date;
  random(bytes: number): Uint8Array;
  /** A word typed at the terminal without being shown; null where there is no terminal. */
  askPassword(prompt: string): Promise<Uint8Array | null>;
}

export function linuxDesk(): Desk {
  const readOptional = (path: string, limit: number): Uint8Array | null => {
    try {
      const size = fs.statSync(path).size;
      if (size > limit) {
        throw new Fault(
          "cli",
          "file.too_large",
          `${path}: ${size} bytes, at most ${limit} are read`,
        );
      }
      return Uint8Array.from(fs.readFileSync(path));
    } catch (error) {
      if (error instanceof Fault) throw error;
      if ((error as { code?: string }).code === "ENOENT") return null;
      throw new Fault(
        "cli",
        "file.unreadable",
        `${path}: ${reasonOf(error)}; check the path`,
        error,
      );
    }
  };
  return {
    readOptional,
    read(path, limit) {
      const bytes = readOptional(path, limit);
      if (bytes !== null) return bytes;
      throw new Fault("cli", "file.unreadable", `${path}: no such file; check the path`);
    },
    write(path, text) {
      try {
        fs.writeFileSync(path, text);
      } catch (error) {
        const why = `${path}: ${reasonOf(error)}; check the folder`;
        throw new Fault("cli", "file.unwritable", why, error);
      }
    },
    writeSecret(path, content) {
      try {
        fs.writeFileSync(path, content, { flag: "wx", mode: 0o600 });
      } catch (error) {
        const exists = (error as { code?: string }).code === "EEXIST";
        const why = exists ? "it is there already; choose another name" : reasonOf(error);
        throw new Fault("cli", "file.exists", `${path}: ${why}`, error);
      }
    },
    exists: (path) => fs.existsSync(path),
    now: () => new Date(),
    random: (bytes) => Uint8Array.from(randomBytes(bytes)),
    askPassword,
  };
}
