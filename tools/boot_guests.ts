/**
 * Which guests a policy starts at boot, so that the harness knows what a good boot shows. It is a
 * plain reading of the file, apart from the program's own: a policy it cannot read starts none.
 */
import { getStaticTOMLValue, parseTOML } from "toml-eslint-parser";

export interface AutobootGuest {
  readonly id: string;
  readonly kind: "linux" | "windows";
}

function table(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

/** The guests that the policy's own profiles start at boot. */
export function autobootGuests(policy: string): AutobootGuest[] {
  let document: Record<string, unknown>;
  try {
    document = table(getStaticTOMLValue(parseTOML(policy, { tomlVersion: "1.0" })));
  } catch {
    return [];
  }
  if (table(document["defaults"])["autoboot_vms"] === false) return [];
  return (["linux", "windows"] as const).flatMap((kind) => {
    const profile = table(document[kind]);
    const id = profile["vm_id"];
    return profile["enabled"] === true && profile["autoboot"] === true && typeof id === "string"
      ? [{ id, kind }]
      : [];
  });
}
