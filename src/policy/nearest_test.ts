import assert from "node:assert/strict";
import { nearest } from "./nearest.ts";

const KEYS = ["enabled", "vm_id", "autoboot", "networking", "limits", "storage"];

Deno.test("nearest finds the word with few edits, swaps of neighbours included", () => {
  assert.equal(nearest("enabeld", KEYS), "enabled");
  assert.equal(nearest("vmid", KEYS), "vm_id");
  assert.equal(nearest("Autoboot", KEYS), "autoboot");
  assert.equal(nearest("network", KEYS), "networking");
  assert.equal(nearest("limit", KEYS), "limits");
});

Deno.test("nearest finds nothing where nothing is near", () => {
  assert.equal(nearest("gpu", KEYS), null);
  assert.equal(nearest("", KEYS), null);
  assert.equal(nearest("x".repeat(1000), KEYS), null);
  assert.equal(nearest("enabled", []), null);
});
