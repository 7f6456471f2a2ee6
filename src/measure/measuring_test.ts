import assert from "node:assert/strict";
import fc from "fast-check";
import type { HostEvent } from "../event.ts";
import { Fault } from "../fault.ts";
import type { FileFacts } from "../host/port.ts";
import { FakeTpm } from "./fake_tpm.ts";
import { ACCOUNT_FILE, Measuring } from "./measuring.ts";
import { type Measured, PCR_OF } from "./measured.ts";

const sha = (n: number) => n.toString(16).padStart(2, "0").repeat(32);

/** A machine: its TPM, what lies under /run, and programs that are ended at any time. */
class Machine {
  readonly tpm = new FakeTpm();
  account: string | null = null;
  readonly events: HostEvent[] = [];
  /** How many more writes and commands are done before the program is ended; null: any number. */
  left: number | null = null;

  #step(): void {
    if (this.left === null) return;
    if (this.left === 0) throw new Error("ended");
    this.left--;
  }

  program(): Measuring {
    const host = {
      lstat: (path: string) =>
        path === ACCOUNT_FILE && this.account !== null ? {} as FileFacts : null,
      readText: (path: string) => path === ACCOUNT_FILE ? this.account : null,
      replace: (_: string, text: Uint8Array | string) => {
        this.#step();
        this.account = String(text);
      },
      exchange: (_: string, message: Uint8Array) => {
        this.#step();
        return Promise.resolve(this.tpm.answer(message));
      },
    };
    return new Measuring(host, (event) => this.events.push(event));
  }

  values(): string[] {
    return [11, 12, 13].map((pcr) => this.tpm.value(pcr).toHex());
  }
}

async function fails(work: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(work, (error) => error instanceof Fault && error.code === code);
}

Deno.test("Measuring extends the PCR of each thing once a boot, and another policy again", async () => {
  const machine = new Machine();
  const first = machine.program();
  await first.begin();
  await first.measure("release", sha(1));
  await first.measure("policy", sha(2));
  await first.measure("registry", sha(3));
  const values = machine.values();
  assert.equal(new Set([...values, sha(0)]).size, 3, "11 and 12 were extended");
  // The program was started again; the registry has changed by what guests did.
  const second = machine.program();
  await second.begin();
  await second.measure("release", sha(1));
  await second.measure("policy", sha(2));
  await second.measure("registry", sha(9));
  assert.deepEqual(machine.values(), values);
  await second.measure("policy", sha(4));
  const said = machine.events.map((one) =>
    one.type === "measured" ? `${one.what} ${one.pcr} ${one.sha256.slice(0, 2)}` : one.type
  );
  assert.deepEqual(said, ["release 11 01", "policy 11 02", "registry 12 03", "policy 11 04"]);
  assert.notEqual(machine.values()[0], values[0]);
});

Deno.test("Measuring measures nothing in a boot in which it was not begun", async () => {
  const machine = new Machine();
  assert.equal(await machine.program().measure("audit", sha(1), 1), false);
  assert.deepEqual(machine.values(), [sha(0), sha(0), sha(0)]);
  assert.equal(await machine.program().auditHead(), null);
});

Deno.test("a program that is ended at any step leaves PCRs that the next one brings to what was to be", async () => {
  const things: (readonly [Measured, number])[] = [
    ["release", 1],
    ["policy", 2],
    ["registry", 3],
    ["audit", 4],
    ["audit", 5],
  ];
  /** What a program does: each start goes on with what is not done yet, as heads of a log only go on. */
  const whole = async (machine: Machine) => {
    const program = machine.program();
    await program.begin();
    for (const [what, n] of things.slice(program.entries.length)) {
      await program.measure(what, sha(n), n);
    }
    return program;
  };
  const undisturbed = new Machine();
  await whole(undisturbed);
  await fc.assert(fc.asyncProperty(fc.nat(16), fc.nat(16), async (...ends) => {
    const machine = new Machine();
    for (const left of ends) {
      machine.left = left;
      await whole(machine).catch(() => {});
      machine.left = null;
    }
    const last = await whole(machine);
    assert.deepEqual(machine.values(), undisturbed.values());
    assert.deepEqual(await last.auditHead(), { seq: 5, hash: sha(5) });
  }));
});

Deno.test("what a TPM refused is made up for before anything else, and never counts as measured", async () => {
  const machine = new Machine();
  const program = machine.program();
  await program.begin();
  await program.measure("release", sha(1));
  machine.tpm.refuses = "00000922";
  const before = machine.values();
  for (let n = 0; n < 3; n++) await fails(program.measure("policy", sha(2)), "measure.tpm");
  await fails(program.measure("policy", sha(3)), "measure.tpm");
  await fails(program.measure("audit", sha(4), 4), "measure.tpm");
  await fails(program.auditHead(), "measure.tpm");
  machine.tpm.refuses = null;
  assert.deepEqual(machine.values(), before);
  // The policy that was tried comes first, the other one and the head after it.
  await program.measure("policy", sha(3));
  await program.measure("audit", sha(4), 4);
  assert.deepEqual(await program.auditHead(), { seq: 4, hash: sha(4) });
  const said = machine.events.map((one) =>
    one.type === "measured" ? `${one.what} ${one.sha256.slice(0, 2)}` : ""
  );
  assert.deepEqual(said, ["release 01", "policy 02", "policy 03", "audit 04"]);
  const other = new Machine();
  const undisturbed = other.program();
  await undisturbed.begin();
  for (const [what, n] of [["release", 1], ["policy", 2], ["policy", 3], ["audit", 4]] as const) {
    await undisturbed.measure(what, sha(n), n);
  }
  assert.deepEqual(machine.values(), other.values());
});

Deno.test("a boot that was left out is not measured by any later start, and one that has begun is not left out", async () => {
  const machine = new Machine();
  machine.program().leaveOut();
  assert.equal(await machine.program().measure("policy", sha(1)), false);
  await fails(machine.program().begin(), "measure.account");
  assert.deepEqual(machine.values(), [sha(0), sha(0), sha(0)]);
  const other = new Machine();
  await other.program().begin();
  other.program().leaveOut();
  assert.equal(await other.program().measure("policy", sha(1)), true, "a later start goes on");
  assert.notEqual(other.values()[0], sha(0));
});

Deno.test("Measuring.begin finds PCRs that somebody else extended, and an account that was changed", async () => {
  const machine = new Machine();
  machine.tpm.extend(13, new Uint8Array(32).fill(9));
  const program = machine.program();
  // What was there before this boot's first word is where it begins.
  await program.begin();
  await program.measure("audit", sha(4), 4);
  assert.deepEqual(await program.auditHead(), { seq: 4, hash: sha(4) });
  const account = machine.account ?? "";
  for (const other of ["", "{}", "nonsense", account.replace(sha(4), sha(5))]) {
    machine.account = other;
    await fails(machine.program().begin(), "measure.account");
  }
  machine.account = account;
  machine.tpm.extend(PCR_OF.audit, new Uint8Array(32));
  await fails(program.auditHead(), "measure.account");
  // Nor is it forgotten by a program that was started again.
  const next = machine.program();
  await fails(next.begin(), "measure.account");
  await fails(next.auditHead(), "measure.account");
});

Deno.test("Measuring says with which code a TPM refuses, and that it is silent or answers nonsense", async () => {
  const machine = new Machine();
  machine.tpm.refuses = "00000922";
  await assert.rejects(machine.program().begin(), /TPM: it refuses with 0x922; /u);
  for (const answer of [new Uint8Array(), new Uint8Array(300)]) {
    const host = {
      lstat: () => null,
      readText: () => null,
      replace: () => {},
      exchange: () => Promise.resolve(answer),
    };
    await fails(new Measuring(host, () => {}).begin(), "measure.tpm");
  }
});
