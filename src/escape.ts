/**
 * The one rule by which text that comes from elsewhere is made harmless before it is shown or logged.
 */

// What could end a line, move a terminal's cursor, reorder what a person sees or be invisible: control
// and format characters, lone surrogates, line and paragraph separators (Unicode general categories).
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text in which nothing can harm a terminal or a line: what is unsafe stands as `\uXXXX`. */
export function escapeUnsafe(text: string): string {
  return text.replace(UNSAFE, (char) => {
    let out = "";
    for (let i = 0; i < char.length; i++) {
      out += `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }
    return out;
  });
}
