/**
 * The few forms that flags and arguments of `ray` have, and how a command's help is written: one line
 * and an example.
 */

/** `--json`. */
export interface Json {
  readonly json: boolean;
}

export const jsonFlag = { kind: "boolean", brief: "print JSON alone", default: false } as const;

const text = (value: string) => value;

export const optionalText = (brief: string, placeholder: string) =>
  ({ kind: "parsed", parse: text, optional: true, brief, placeholder }) as const;

export const neededText = (brief: string, placeholder: string) =>
  ({ kind: "parsed", parse: text, brief, placeholder }) as const;

/** A whole number. */
export const whole = (brief: string, placeholder: string) => ({
  kind: "parsed",
  parse: (text: string) => {
    if (!/^\d{1,9}$/.test(text)) throw new SyntaxError(`${text} is no whole number`);
    return Number(text);
  },
  optional: true,
  brief,
  placeholder,
} as const);

/** Exactly one argument. */
export const one = (placeholder: string, brief: string) =>
  ({ kind: "tuple", parameters: [{ parse: text, placeholder, brief }] }) as const;

/** Exactly two arguments. */
export const two = (first: readonly [string, string], second: readonly [string, string]) =>
  ({
    kind: "tuple",
    parameters: [
      { parse: text, placeholder: first[0], brief: first[1] },
      { parse: text, placeholder: second[0], brief: second[1] },
    ],
  }) as const;

export const docs = (brief: string, ...examples: string[]) => ({
  brief,
  fullDescription: `${brief}.\n\nExample: ${examples.join("\n         ")}`,
});
