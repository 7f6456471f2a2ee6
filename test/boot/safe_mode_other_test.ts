import { safeModeTest } from "./safe_mode.ts";
import { OTHER_CASES } from "./safe_mode_cases.ts";

for (const one of OTHER_CASES) safeModeTest(one);
