/**
 * The steps of one share, one after the other. To make the file of one that is written may take hours: whoever
 * takes a share away outdates what is to give it, and ends the give under way instead of waiting for it.
 */
export class ShareSteps {
  #last: Promise<unknown> = Promise.resolve();
  #ending: Promise<void> | null = null;
  /** Counts how often it was taken away. */
  #taken = 0;

  /** Does it after what was asked before, and after what ends a give. */
  next<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => {
      await this.#ending;
      return await step();
    });
    this.#last = done.catch(() => {});
    return done;
  }

  /** What tells a give, from now on, whether nobody has taken the share away since. */
  wanted(): () => boolean {
    const taken = this.#taken;
    return () => taken === this.#taken;
  }

  /**
   * Outdates each give that was asked for before.
   *
   * @param end ends the one under way, and does not throw; null: there is none
   */
  outdate(end: (() => Promise<void>) | null): void {
    this.#taken++;
    if (end !== null) this.#ending ??= end().finally(() => this.#ending = null);
  }

  /** Waits for what ends a give: two that take the same share would disturb each other. */
  async ended(): Promise<void> {
    await this.#ending;
  }
}
