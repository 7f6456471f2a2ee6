import { safeModeTest } from "./safe_mode.ts";
import { CONTENT_CASES } from "./safe_mode_cases.ts";

for (const one of CONTENT_CASES) safeModeTest(one);
