/** What the race test's driver counts, as its one line of JSON has it. */

/** One guest, started again and again. */
export interface PhaseResult {
  readonly starts: number;
  /** Starts whose files passed the check, so that the launcher was called. */
  readonly launched: number;
  /** Starts that the read-back let pass, with the guest's own files and no other. */
  readonly own: number;
  /** Starts that the read-back let pass with a foreign file, and which. */
  readonly foreign: readonly string[];
  /** The others, by the first rule that refused them. */
  readonly refused: Readonly<Record<string, number>>;
  /** Swaps between the end of the check and the end of the read-back, of all launches. */
  readonly swapsInWindow: number;
  readonly windowsWithSwap: number;
  /** How often a foreign file had another owner or mode after a swap. */
  readonly altered: number;
}

export interface RaceResult {
  /** While only the attacker with the guest's uid was at it. */
  readonly quiet: PhaseResult;
  /** What that attacker tried, and how often the kernel forbade it. */
  readonly tried: Readonly<Record<string, { readonly tried: number; readonly forbidden: number }>>;
  /** While the attacker with root was at it. */
  readonly guarded: PhaseResult;
  /** The same without the checks, until a foreign file was reached; in a full run only. */
  readonly twin: PhaseResult | null;
  /** A file swapped right after the check, behind a launcher that looks at nothing. */
  readonly late: { readonly disk0: LateResult; readonly initrd: LateResult };
  /** The same without the read-back's comparison. */
  readonly blind: { readonly disk0: LateResult; readonly initrd: LateResult };
}

/** What the read-back named, and what was reached where it named nothing. */
export interface LateResult {
  readonly named: readonly string[];
  readonly reached: readonly string[];
}
