/**
 * Prints the bytes that the log's ring holds once it is full, for `tools/rayos bench audit`: a process of its
 * own, so that nothing else has been on its heap.
 */
import { LogSinks } from "../../../src/audit/sinks.ts";
import { FakeHost } from "../../../test/fake_host.ts";

const LINES = 3_000;
const collect = (globalThis as unknown as { gc: () => void }).gc;

const host = new FakeHost();
let nowMs = 0;
// No two lines within the second in which a source may say only so many.
host.clock.monoMs = () => nowMs += 1_000;
const sinks = new LogSinks(host);
sinks.toConsole = () => {};
sinks.toFollowers = () => {};

function heap(): number {
  collect();
  return Deno.memoryUsage().heapUsed;
}

/** Until a data root is there the ring is all that is kept; it is full long before the last of them. */
function fill(): void {
  for (let n = 0; n < LINES; n++) {
    const message = `${n}`.padEnd(60, ".");
    sinks.emit({ type: "fault", stage: "session", code: "bench.line", message });
  }
}

const before = heap();
fill();
console.log(heap() - before);
// Held until here.
sinks.lastLines(1);
