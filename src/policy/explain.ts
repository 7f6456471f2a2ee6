/**
 * A policy, and the difference of two, in words that a person can check: each sentence with the line
 * that says it, or as a default. It decides nothing and reads nothing but documents that were parsed.
 */
import { type Amount, type Facet, facetsOf } from "./facets.ts";
import type { Policy } from "./policy.ts";
import { valueAt } from "./shape.ts";
import { showPath, type TomlDocument } from "./toml.ts";

/** A policy with the document that it was read from. */
export interface Explained {
  readonly policy: Policy;
  readonly toml: TomlDocument;
}

/** One sentence about a policy. */
export interface Statement {
  /** `host`, or the profile's name. */
  readonly subject: string;
  /** The key that says it, or that would. */
  readonly key: string;
  /** Line in the document; null: a default. */
  readonly line: number | null;
  readonly text: string;
}

/** What a policy gives and withholds, the host first, then each profile. */
export function explain(explained: Explained): Statement[] {
  // The first sentence about a profile names its guest already.
  return facetsOf(explained.policy).filter((facet) => facet.id !== "vm_id")
    .map((facet) => statementOf(facet, explained.toml));
}

/** One difference. */
export interface Difference {
  /** `both`: it gives something else, of which neither is more. */
  readonly change: "widens" | "narrows" | "both" | "changes";
  /** What the old policy says; null where it says nothing. */
  readonly old: Statement | null;
  readonly new: Statement | null;
}

/** What a new policy allows that the old one did not, and the reverse. */
export function difference(old: Explained, next: Explained): Difference[] {
  const before = new Map(facetsOf(old.policy).map((facet) => [nameOf(facet), facet]));
  const after = new Map(facetsOf(next.policy).map((facet) => [nameOf(facet), facet]));
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name): Difference[] => {
    const one = before.get(name);
    const other = after.get(name);
    const change = changeOf(one?.amount, other?.amount);
    if (change === null) return [];
    return [{
      change,
      old: one === undefined ? null : statementOf(one, old.toml),
      new: other === undefined ? null : statementOf(other, next.toml),
    }];
  });
}

/** Whether anything is allowed that was not. */
export function widens(differences: readonly Difference[]): boolean {
  return differences.some((one) => one.change === "widens" || one.change === "both");
}

function nameOf(facet: Facet): string {
  return `${facet.profile ?? ""}\0${facet.id}`;
}

function changeOf(old: Amount | undefined, next: Amount | undefined): Difference["change"] | null {
  const known = old ?? next;
  if (known === undefined) return null;
  if ("none" in known) {
    const [one, other] = [old, next].map((amount) =>
      amount !== undefined && "none" in amount ? amount.none : null
    );
    // A profile that came or went is told by what it gives.
    return one === null || other === null || one === other ? null : "changes";
  }
  const more = exceeds(next, old);
  const less = exceeds(old, next);
  return more && less ? "both" : more ? "widens" : less ? "narrows" : null;
}

/** Whether one amount gives something that the other does not. */
function exceeds(one: Amount | undefined, other: Amount | undefined): boolean {
  if (one === undefined || "none" in one) return false;
  if ("level" in one) {
    // A level beside a set: the two cannot be compared, so each may give more than the other.
    return other !== undefined && "set" in other || one.level > levelOf(other);
  }
  if (other !== undefined && "level" in other) return true;
  const theirs = other !== undefined && "set" in other ? other.set : [];
  if (theirs === "all") return false;
  return one.set === "all" || one.set.some((element) => !theirs.includes(element));
}

function levelOf(amount: Amount | undefined): number {
  return amount !== undefined && "level" in amount ? amount.level : 0;
}

function statementOf(facet: Facet, toml: TomlDocument): Statement {
  const path = facet.paths.find((one) =>
    toml.has(one) && (facet.value === undefined || valueAt(toml.data, one) === facet.value)
  );
  return {
    subject: facet.profile ?? "host",
    key: showPath(path ?? facet.paths[0] ?? []),
    line: path === undefined ? null : toml.valuePlace(path).line,
    text: facet.says,
  };
}
