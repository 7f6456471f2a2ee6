/**
 * Documents of older versions become documents of this one, step by step, before anything else is
 * asked of them. There is no older version yet, so the table is empty; a document of a version that
 * is neither this one nor in the table is refused, and nothing about it is guessed.
 */
import type { TomlTable } from "./toml.ts";

/** The version that this program knows. */
export const POLICY_VERSION = 0;

/** Takes a document of one version to the next; places of keys stay those of the text. */
export type Migration = (document: TomlTable) => void;

/** By the version that they take a document from. */
export const MIGRATIONS: ReadonlyMap<number, Migration> = new Map();

/**
 * Takes a document to this program's version.
 *
 * @returns whether there is a way from that version to this one
 */
export function migrate(
  document: TomlTable,
  from: number,
  migrations: ReadonlyMap<number, Migration> = MIGRATIONS,
): boolean {
  for (let version = from; version !== POLICY_VERSION; version++) {
    const step = migrations.get(version);
    if (step === undefined) return false;
    step(document);
    document["version"] = version + 1;
  }
  return true;
}

/** What a person does about a document of a version that there is no way from. */
export function whatToDo(version: number): string {
  return version > POLICY_VERSION
    ? `it was made for a later RayOS: update RayOS first, or install a policy of version ${POLICY_VERSION}`
    : `there is no such version: write version = ${POLICY_VERSION}`;
}
