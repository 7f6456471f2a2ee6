import assert from "node:assert/strict";
import { PROJECT } from "../../tools/boot_prepare.ts";
import { escapeSources } from "./escape_build.ts";
import { ALL_WALLS, ALWAYS, answerIn, jails, ROWS, rowsIn, type Wall } from "./escape_rows.ts";
import { launcherWith } from "./escape_twins.ts";

const launcher = await Deno.readTextFile(
  `${PROJECT}/initramfs/skeleton/usr/lib/rayos/jail`,
);

Deno.test("ROWS are the attempts of the program, in order, each once", async () => {
  const sources = await escapeSources();
  const table = sources.find((path) => path.endsWith("/table.c"));
  const text = await Deno.readTextFile(table ?? "");
  const names = [...text.matchAll(/^ {2}\{"(\w+)", \w+, /gmu)].map(([, name]) => name);
  assert.deepEqual(names, ROWS.map(({ name }) => name));
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.length >= 40);
});

Deno.test("jails try every row in the whole jail, with none of its walls, and with each alone", () => {
  const all = jails(true);
  for (const row of ROWS) {
    const tried = all.filter((jail) => rowsIn(jail).includes(row));
    const standing = tried.map(({ walls }) =>
      row.walls.filter(([, ...one]) => one.every((wall) => walls.has(wall as Wall)))
    );
    assert.ok(tried.some(({ walls }) => walls.size === ALL_WALLS.length), `${row.name}: whole`);
    assert.ok(standing.some((walls) => walls.length === 0), `${row.name}: no twin`);
    for (const wall of row.walls) {
      const alone = standing.some((walls) => walls.length === 1 && walls[0] === wall);
      // A wall that another one contains cannot be tried without that; the other is.
      const within = row.walls.some((other) =>
        other !== wall && other.slice(1).every((one) => wall.slice(1).includes(one))
      );
      assert.ok(alone || within, `${row.name}: ${wall.join()} is never alone`);
    }
  }
});

Deno.test("jails need every wall: each is the only one of some row's in some jail", () => {
  const used = new Set(ROWS.flatMap(({ walls }) => walls.flatMap(([, ...one]) => one)));
  assert.deepEqual([...used].sort(), [...ALL_WALLS].sort());
});

Deno.test("answerIn gives the first standing wall's answer, and ok where none stands", () => {
  const row = ROWS.find(({ name }) => name === "signal_supervisor");
  assert.ok(row !== undefined);
  assert.equal(answerIn(row, new Set(ALL_WALLS)), "EPERM");
  assert.equal(answerIn(row, new Set<Wall>(["pid"])), "ESRCH");
  assert.equal(answerIn(row, new Set<Wall>(["caps"])), "ok");
  assert.equal(answerIn(row, new Set<Wall>(["uid", "caps"])), "EPERM");
});

Deno.test("launcherWith changes nothing in the whole jail, and finds each wall in the launcher", () => {
  assert.equal(launcherWith(launcher, new Set(ALL_WALLS)), launcher);
  for (const { walls } of jails(true)) launcherWith(launcher, walls);
  for (const wall of ALL_WALLS) {
    assert.notEqual(
      launcherWith(launcher, new Set(ALL_WALLS.filter((one) => one !== wall))),
      launcher,
      wall,
    );
  }
  assert.throws(
    () => launcherWith(launcher.replace("--unshare-net ", ""), new Set(ALWAYS)),
    /the launcher has no --unshare-net/u,
  );
});
