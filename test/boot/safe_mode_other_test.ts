import { assertSafeMode } from "./safe_mode.ts";
import { OTHER_CASES } from "./safe_mode_cases.ts";

for (const one of OTHER_CASES) {
  Deno.test(`boot with ${one.name} is safe mode by ${one.rule}`, () => assertSafeMode(one));
}
