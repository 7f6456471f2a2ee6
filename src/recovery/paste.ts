/**
 * A policy that comes over the terminal, line by line: its bytes in base64, a line with a dot, the text of
 * its signature file, a line with a dot. So it comes onto a host that has nothing but a serial line. It
 * only collects, within a bound; what it is worth is decided by its signature.
 */

/** Base64 of the largest policy, with line ends left out. */
const MOST_BASE64 = Math.ceil(256 * 1024 / 3) * 4;
const MOST_SIGNATURE = 64 * 1024;
const END = ".";

export type PasteStep = "more" | "done" | "too_much" | "not_base64";

export class PastedPolicy {
  #base64 = "";
  #signature = "";
  #part: "policy" | "signature" = "policy";

  /** Takes one line, without its end. */
  take(line: string): PasteStep {
    const text = line.trim();
    if (this.#part === "policy") {
      if (text === END) this.#part = "signature";
      else if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return "not_base64";
      else this.#base64 += text;
      return this.#base64.length > MOST_BASE64 ? "too_much" : "more";
    }
    if (text === END) return "done";
    this.#signature += `${line}\n`;
    return this.#signature.length > MOST_SIGNATURE ? "too_much" : "more";
  }

  /** What was pasted, as `policy.install` is asked with. */
  get args(): { readonly policy: string; readonly signature: string } {
    return { policy: this.#base64, signature: this.#signature };
  }
}
