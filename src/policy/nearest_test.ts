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

Deno.test("nearest counts an insertion, a deletion, a substitution and a swap as one edit", () => {
  // A word of three to five letters may differ by one edit, one of six to eight by two.
  const near = (word: string, known: string) => nearest(word, [known]) === known;
  for (const [word, known] of [["gp", "gpu"], ["gppu", "gpu"], ["gpo", "gpu"], ["gup", "gpu"]]) {
    assert(near(word ?? "", known ?? ""), word);
  }
  for (const swapped of ["niput", "ipnut", "inupt", "inptu"]) {
    assert(near(swapped, "input"), swapped);
  }
  for (const far of ["upg", "pug", "g", "gpuxx", "abc", "", "niptu", "nipu", "xinputy"]) {
    assert(!near(far, "gpu") && !near(far, "input"), far);
  }
  for (const two of ["neabeld", "enabedl", "xenabledx", "nable", "enbalde"]) {
    assert(near(two, "enabled"), two);
  }
  for (const three of ["bled", "xxxabled", "neablde1"]) {
    assert(!near(three, "enabled"), three);
  }
});

Deno.test("nearest takes the one with the fewest edits, and the first of equals", () => {
  assert.equal(nearest("enabeld", ["enables", "enabled"]), "enabled");
  assert.equal(nearest("enabled", ["enables", "enabled", "enabler"]), "enabled");
  assert.equal(nearest("cat", ["bat", "hat"]), "bat");
  assert.equal(nearest("x", []), null);
});

Deno.test("nearest looks at words of up to 48 letters, in any case", () => {
  const long = "a".repeat(48);
  assert.equal(nearest(long, [`${long}b`]), `${long}b`);
  assert.equal(nearest(`${long}a`, [long]), null);
  assert.equal(nearest("ENABELD", ["enabled"]), "enabled");
  assert.equal(nearest("gpu", ["GPU"]), "GPU");
  assert.equal(nearest("b", ["a"]), "a", "one edit is always allowed");
});

Deno.test("nearest takes for a swap only what is swapped on both sides", () => {
  assert.equal(nearest("ab", ["ba"]), "ba");
  assert.equal(nearest("ab", ["bc"]), null);
  assert.equal(nearest("bc", ["ab"]), null);
});

Deno.test("nearest goes by the edits of the whole words, whatever they have in common", () => {
  assert.equal(nearest("abcdef", ["uvabcdef"]), "uvabcdef", "two more before it");
  assert.equal(nearest("abcdef", ["abcdefuv"]), "abcdefuv", "two more behind it");
  assert.equal(nearest("abcdef", ["abcdefuvw"]), "abcdefuvw", "three of nine");
  assert.equal(nearest("abcdef", ["abcdefuvwx"]), null, "four of ten");
  assert.equal(nearest("abcdefgh", ["cdefgh"]), "cdefgh");
  assert.equal(nearest("aabbccdd", ["bbaaccdd"]), null);
});
