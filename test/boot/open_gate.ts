/**
 * A program whose gate is open: what is typed reaches everybody who was ever presented. It is made from an
 * altered copy of the sources, for the twin of the test that must find it, and is in no image that is kept.
 */
import assert from "node:assert/strict";
import { buildProgram } from "../../tools/build_program.ts";
import type { OverlayFile } from "../../tools/boot_overlay.ts";
import { PROJECT } from "../../tools/boot_prepare.ts";
import { sha256 } from "../../tools/build_host.ts";
import type { Home } from "./machine.ts";

/** Where the bundled form of the image has the program. */
export const PROGRAM = "/usr/lib/rayos/program.js";
const ALTERED = "src/presentation/presenter.ts";
/** The line in which the one guest is named that gets what the gate sends, and what stands there instead. */
const CLOSED = "void this.#send(action.vm, action.stroke).then((ok) =>";
const OPEN = `void Promise.all(
          [...this.opened.add(action.vm)].map((vm) => this.#send(vm, action.stroke)),
        ).then(([ok = false]) =>`;
const FIELD = "#state = NOBODY;";

/** The altered program as a file of the bundled image, and its hash. */
export async function openGate(
  home: Home,
): Promise<{ overlay: Record<string, OverlayFile>; hash: string }> {
  const project = `${home.path}/open-gate`;
  await Deno.mkdir(project);
  for (const name of ["src", "main.ts", "deno.json", "deno.lock"]) {
    await copied(`${PROJECT}/${name}`, `${project}/${name}`);
  }
  await Deno.symlink(`${PROJECT}/node_modules`, `${project}/node_modules`);
  const made = (folder: string) =>
    buildProgram("bundled", {
      project: folder,
      cache: `${home.path}/programs`,
      entry: `${folder}/main.ts`,
      compilerIntegrity: "",
      say: () => {},
    });
  const shipped = made(project);
  const text = await Deno.readTextFile(`${project}/${ALTERED}`);
  for (const place of [CLOSED, FIELD]) {
    assert.equal(text.split(place).length, 2, `${ALTERED} has no such place any more: ${place}`);
  }
  const open = text.replace(CLOSED, OPEN).replace(
    FIELD,
    `${FIELD}\n  opened = new Set<VmId>();`,
  );
  await Deno.writeTextFile(`${project}/${ALTERED}`, open);
  const altered = made(project);
  assert.notEqual(altered.sha256, shipped.sha256, "the alteration is in the program");
  const script = await Deno.readFile(altered.file);
  return { overlay: { [PROGRAM]: script }, hash: sha256(script) };
}

async function copied(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copied(`${from}/${name}`, `${to}/${name}`);
}
