/** The lines of a file's bytes, each with its number and whether its newline is there. Pure. */

export interface Piece {
  /** Without the newline. */
  readonly bytes: Uint8Array;
  /** Whether a newline follows. */
  readonly whole: boolean;
  /** 1-based. */
  readonly line: number;
}

const NEWLINE = 10;

export function* linesOf(bytes: Uint8Array): Generator<Piece> {
  let line = 1;
  for (let at = 0; at < bytes.length; line++) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) {
      yield { bytes: bytes.subarray(at), whole: false, line };
      return;
    }
    yield { bytes: bytes.subarray(at, end), whole: true, line };
    at = end + 1;
  }
}
