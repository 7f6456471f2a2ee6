/**
 * What an image has to hold, worked out from the written half of its manifest: programs, the
 * libraries they name, kernel modules, directories, project files. The generator writes the result
 * down and the builder holds it against what is written, so nothing gets into an image unlisted.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { filesBelow, sha256File, ToolError } from "./build_host.ts";
import { type Manifest, type ManifestFile, memberName, sourceOf } from "./build_manifest.ts";
import { resolveModules } from "./build_modules.ts";
import { type DebianPackage, memberOf } from "./debian_packages.ts";
import { elfInfo, isElf } from "./elf.ts";

const LIBRARY_DIR = "usr/lib/x86_64-linux-gnu";
const LOADER = "ld-linux-x86-64.so.2";

/** Where packages lie on this machine. */
export interface Sources {
  readonly debian: ReadonlyMap<string, DebianPackage>;
  /** Directory of each npm package. */
  readonly npm: ReadonlyMap<string, string>;
  /** The project's own directory. */
  readonly project: string;
}

/**
 * The file on this machine behind a manifest entry; null for what is made by the build, and for
 * directories and links.
 *
 * @throws ToolError where the source does not have it
 */
export function fileBehind(one: ManifestFile, sources: Sources): string | null {
  const { kind, name } = sourceOf(one.from);
  if (one.link !== undefined || one.dir === true || kind === "built" || kind === "layout") {
    return null;
  }
  const found = kind === "project"
    ? path.join(sources.project, name)
    : kind === "debian"
    ? memberOf(sources.debian.get(name)?.dir ?? "/nonexistent", memberName(one))
    : path.join(sources.npm.get(name) ?? "/nonexistent", memberName(one));
  if (found === null || !fs.existsSync(found)) {
    throw new ToolError(
      `${one.path}: ${one.from} has no ${memberName(one)}; run tools/rayos manifest`,
    );
  }
  return found;
}

function libraryOf(name: string, manifest: Manifest, sources: Sources): ManifestFile | null {
  const members = name === LOADER
    ? [`lib64/${name}`]
    : [`${LIBRARY_DIR}/${name}`, `lib/x86_64-linux-gnu/${name}`];
  for (const from of manifest.library_packages) {
    const dir = sources.debian.get(from)?.dir;
    for (const member of members) {
      if (dir === undefined || memberOf(dir, member) === null) continue;
      const home = name === LOADER ? "usr/lib64" : LIBRARY_DIR;
      return {
        path: `/${home}/${name}`,
        mode: "0755",
        owner: "0:0",
        from: `debian:${from}`,
        member,
      };
    }
  }
  return null;
}

/** Adds the libraries that the ELF files of one root name, until nothing new is named. */
function addLibraries(root: string, files: ManifestFile[], manifest: Manifest, sources: Sources) {
  const have = new Set(files.map((one) => one.path));
  const queue = files.filter((one) => one.path.startsWith(`${root}/`) && fileBehind(one, sources));
  for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
    const bytes = fs.readFileSync(fileBehind(one, sources) ?? "");
    if (!isElf(bytes)) continue;
    const { needed, interpreter } = elfInfo(bytes);
    const names = interpreter === null ? needed : [path.basename(interpreter), ...needed];
    for (const name of names) {
      // One that a package keeps in a folder of its own is listed by hand, at the place where it is found.
      if (have.has(`${root}/${LIBRARY_DIR}/${name}`)) continue;
      const library = libraryOf(name, manifest, sources);
      if (library === null) {
        throw new ToolError(
          `${one.path}: names ${name}, which no listed package has; add its package to library_packages`,
        );
      }
      const at = `${root}${library.path}`;
      if (have.has(at)) continue;
      const added = { ...library, path: at };
      have.add(at);
      files.push(added);
      queue.push(added);
    }
  }
}

/** Project files of the manifest's folders, executable where they say so themselves. */
function projectFiles(manifest: Manifest, sources: Sources): ManifestFile[] {
  return manifest.project.flatMap(({ from, to }) => {
    const full = path.join(sources.project, from);
    const single = fs.existsSync(full) && fs.statSync(full).isFile();
    const names = single ? [""] : filesBelow(full);
    return names.map((name): ManifestFile => {
      const file = single ? full : path.join(full, name);
      const script = fs.readFileSync(file).subarray(0, 2).toString() === "#!";
      return {
        path: single ? to : path.posix.join(to, name),
        mode: script ? "0755" : "0644",
        owner: "0:0",
        from: `project:${single ? from : path.posix.join(from, name)}`,
      };
    });
  });
}

/** Directories that something lies in and nobody named. */
function missingParents(files: readonly ManifestFile[]): ManifestFile[] {
  const have = new Set(files.map((one) => one.path));
  const added: ManifestFile[] = [];
  for (const one of files) {
    for (let at = path.posix.dirname(one.path); at !== "/"; at = path.posix.dirname(at)) {
      if (have.has(at)) continue;
      have.add(at);
      added.push({ path: at, mode: "0755", owner: "0:0", from: "layout", dir: true });
    }
  }
  return added;
}

/**
 * Everything the image has to hold, sorted by path; a file of a package carries its SHA-256.
 *
 * @throws ToolError where something that is named cannot be found
 */
export function expectedFiles(manifest: Manifest, sources: Sources): ManifestFile[] {
  const files: ManifestFile[] = manifest.programs.map(({ root: _, ...one }) => ({
    path: one.path,
    mode: one.mode ?? "0644",
    owner: "0:0",
    from: one.from,
    ...(one.member === undefined ? {} : { member: one.member }),
    ...(one.form === undefined ? {} : { form: one.form }),
  }));
  const roots = new Set(manifest.programs.map((one) => one.root ?? ""));
  // The deepest root first: what lies in a jail's root is not the host's.
  const closed: ManifestFile[] = [];
  for (const root of [...roots].sort((a, b) => b.length - a.length)) {
    const own = manifest.programs.flatMap((one, n) => {
      const listed = files[n];
      return (one.root ?? "") === root && listed !== undefined ? [listed] : [];
    });
    addLibraries(root, own, manifest, sources);
    closed.push(...own);
  }
  const { package: kernel, release } = manifest.kernel;
  const modules = new Set(
    resolveModules(sources.debian.get(kernel)?.dir ?? "", release, manifest.modules)
      .map((one) => one.member),
  );
  closed.push(...[...modules].map((member): ManifestFile => ({
    path: `/usr/${member}`,
    mode: "0644",
    owner: "0:0",
    from: `debian:${kernel}`,
    member,
  })));
  closed.push(...manifest.layout, ...projectFiles(manifest, sources));
  closed.push(...missingParents(closed));
  return closed.sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0).map((one) => {
    const { kind } = sourceOf(one.from);
    const file = kind === "debian" || kind === "npm" ? fileBehind(one, sources) : null;
    return file === null ? one : { ...one, sha256: sha256File(file) };
  });
}
