import assert from "node:assert/strict";
import { baselineCommand, plannedArgv } from "./baseline.ts";

Deno.test("baselineCommand has every argument of the plan and one other agent port", async () => {
  const argv = await plannedArgv();
  assert.ok(argv.includes("-kernel") && argv.includes("-accel"));
  const command = baselineCommand(argv);
  const differing = argv.filter((word) => !command.includes(`'${word}'`));
  assert.deepEqual(differing, ["socket,id=agent,path=/s/agent.sock,server=on,wait=off"]);
  assert.ok(command.includes('"pipe,id=agent,path=$agent"'));
});

Deno.test("baselineCommand lets no quote of an argument end its word", () => {
  assert.ok(baselineCommand(["-append", "a'b"]).endsWith(`'-append' 'a'\\''b'\n`));
});
