/**
 * Which kernel modules an image holds and in which order they are loaded, worked out from what each
 * module says of itself (.modinfo). Debian's package has no modules.dep: depmod makes that on the
 * installed machine. It decides nothing about when a module is loaded beyond the manifest's word.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { filesBelow, ToolError } from "./build_host.ts";
import { type Condition, CONDITIONS } from "./build_manifest.ts";
import { moduleInfo } from "./elf.ts";

/** A module in load order: after everything it depends on. */
export interface LoadedModule {
  readonly when: Condition;
  /** File name inside the kernel package, e.g. `lib/modules/…/ext4.ko`. */
  readonly member: string;
  /** The manifest's words for it, e.g. `nested=0`. */
  readonly parameters: string;
  /** The same of all that it depends on, each before what it depends on itself. */
  readonly needs: readonly string[];
}

/** Module names are the same with `-` and `_` (man 8 modprobe). */
function plain(name: string): string {
  return name.replaceAll("-", "_");
}

/**
 * Resolves the named set and its dependencies.
 *
 * @param dir the unpacked kernel package
 * @param release the kernel's release name
 * @throws ToolError for a module that the kernel does not have, or has built in
 */
export function resolveModules(
  dir: string,
  release: string,
  wanted: readonly {
    readonly name: string;
    readonly when: Condition;
    readonly parameters?: string | undefined;
  }[],
): LoadedModule[] {
  const base = `lib/modules/${release}`;
  const members = new Map(
    filesBelow(path.join(dir, base)).filter((one) => one.endsWith(".ko"))
      .map((one) => [plain(path.basename(one, ".ko")), `${base}/${one}`]),
  );
  const builtin = new Set(
    fs.readFileSync(path.join(dir, base, "modules.builtin"), "utf8").trim().split("\n")
      .map((one) => plain(path.basename(one, ".ko"))),
  );
  const needs = new Map<string, readonly string[]>();
  const dependencies = (name: string): readonly string[] => {
    const known = needs.get(name);
    if (known !== undefined) return known;
    const member = members.get(name);
    if (member === undefined) {
      throw new ToolError(
        `kernel module ${name}: ${
          builtin.has(name) ? "is built into" : "is not in"
        } ${release}; take it out of the manifest`,
      );
    }
    const info = moduleInfo(fs.readFileSync(path.join(dir, member)));
    const found = info.filter((one) => one.key === "depends").flatMap((one) => one.value.split(","))
      .filter((one) => one !== "").map(plain);
    needs.set(name, found);
    return found;
  };

  const allNeeds = (name: string): string[] => {
    const direct = dependencies(name);
    return [...direct, ...direct.flatMap(allNeeds)];
  };

  const result: LoadedModule[] = [];
  const always = new Set<string>();
  for (const when of CONDITIONS) {
    const done = new Set(always);
    const visit = (name: string) => {
      if (done.has(name)) return;
      done.add(name);
      dependencies(name).forEach(visit);
      const needed = new Set(allNeeds(name).map((one) => members.get(one)));
      const needs = [...result].reverse().map((one) => one.member)
        .filter((one) => needed.delete(one));
      const parameters = wanted.find((one) => plain(one.name) === name)?.parameters ?? "";
      result.push({ when, member: members.get(name) ?? "", parameters, needs });
    };
    wanted.filter((one) => one.when === when).forEach((one) => visit(plain(one.name)));
    if (when === "all") { for (const name of done) always.add(name); }
  }
  return result;
}
