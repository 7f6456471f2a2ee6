/**
 * What this version accepts in a policy and does not act on yet, in one table, so that nobody takes
 * a key for a promise. Each row goes when the code that acts on its key comes.
 */
import { type Issue, issue } from "../issue.ts";
import { isAffordable } from "./passphrase.ts";
import { type ProfileEntry, profilesOf } from "./resolve.ts";
import type { PolicyDocument } from "./schema.ts";
import { showPath, type TomlDocument, type TomlPath } from "./toml.ts";

/** Keys of the document that only a later version acts on, where they say that. */
const DOCUMENT_KEYS: readonly (readonly [TomlPath, (document: PolicyDocument) => boolean])[] = [
  [["logging", "input"], () => true],
  // The host compares with no hash that would cost it too much.
  [["recovery", "passphrase"], (d) => !isAffordable(d.recovery.passphrase ?? "")],
];

/** The same for the keys of a profile. */
const PROFILE_KEYS: readonly (readonly [TomlPath, (entry: ProfileEntry) => boolean])[] = [
  // A guest with a TPM is shut down instead.
  [["on_shutdown"], (e) => e.document.on_shutdown === "suspend" && e.document.devices.vtpm],
];

/** A note `note.not_yet` for each key of the document that this version does not act on. */
export function notYet(toml: TomlDocument, document: PolicyDocument): Issue[] {
  const said = [
    ...DOCUMENT_KEYS.filter(([, says]) => says(document)).map(([path]) => path),
    ...profilesOf(document).flatMap((entry) =>
      PROFILE_KEYS.filter(([, says]) => says(entry)).map(([path]) => [...entry.path, ...path])
    ),
  ];
  return said.filter((path) => toml.has(path)).map((path) => {
    const place = toml.valuePlace(path);
    return issue("note.not_yet", {
      path: showPath(path),
      line: place.line,
      column: place.column,
      expected: "a later version",
      found: path[0] === "recovery" ? "a value that is not shown" : place.source,
      hint: "accepted; this version does not act on it",
      severity: "note",
    });
  });
}
