import { assertSafeMode } from "./safe_mode.ts";
import { CONTENT_CASES } from "./safe_mode_cases.ts";

for (const one of CONTENT_CASES) {
  Deno.test(`boot with ${one.name} is safe mode by ${one.rule}`, () => assertSafeMode(one));
}
