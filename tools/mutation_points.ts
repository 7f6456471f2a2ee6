/**
 * Where a source file can be changed so that a good test notices: a lint plugin that reports each such
 * place with what to write there instead. Each operator has a name; every branch has at least two.
 * It changes nothing.
 */

/** The operators, and what each does. */
export const OPERATORS = {
  condition_true: "the condition of an `if` or `?:` always holds",
  condition_false: "the condition of an `if` or `?:` never holds",
  equality: "`===` for `!==` and the reverse",
  relation: "`<` for `<=`, `>` for `>=`, and the reverse",
  logic: "`&&` for `||` and the reverse",
  nullish: "`a ?? b` without `b`",
  negation: "`!a` without `!`",
  boolean: "`true` for `false` and the reverse",
  number: "a number one higher",
  arithmetic: "`+` for `-`; `*` for `/` and the reverse",
} as const;
export type Operator = keyof typeof OPERATORS;

/** What stands between operator and replacement in a report's message. */
export const SEPARATOR = "\u2192";
/** What stands before the name of the test that failed, in what a test run says. */
export const FAILED = "failed ";

const SWAPS: Readonly<Record<string, readonly [Operator, string]>> = {
  "===": ["equality", "!=="],
  "!==": ["equality", "==="],
  "<": ["relation", "<="],
  "<=": ["relation", "<"],
  ">": ["relation", ">="],
  ">=": ["relation", ">"],
  "&&": ["logic", "||"],
  "||": ["logic", "&&"],
  "-": ["arithmetic", "+"],
  "*": ["arithmetic", "/"],
  "/": ["arithmetic", "*"],
};

const plugin: Deno.lint.Plugin = {
  name: "mutation",
  rules: {
    point: {
      create(context) {
        const text = (node: Deno.lint.Node) => context.sourceCode.getText(node);
        const point = (node: Deno.lint.Node, operator: Operator, replacement: string) =>
          context.report({ node, message: `${operator}${SEPARATOR}${replacement}` });
        const condition = (test: Deno.lint.Expression) => {
          // What narrows a type for the compiler does so no more at run time.
          point(test, "condition_true", "true");
          point(test, "condition_false", "false");
        };
        const swap = (node: Deno.lint.BinaryExpression | Deno.lint.LogicalExpression) => {
          const found = SWAPS[node.operator];
          if (found === undefined) return;
          const [operator, other] = found;
          point(node, operator, `(${text(node.left)} ${other} ${text(node.right)})`);
        };
        return {
          IfStatement: (node) => condition(node.test),
          ConditionalExpression: (node) => condition(node.test),
          BinaryExpression: swap,
          LogicalExpression(node) {
            if (node.operator === "??") point(node, "nullish", `(${text(node.left)})`);
            else swap(node);
          },
          UnaryExpression(node) {
            if (node.operator === "!") point(node, "negation", `(${text(node.argument)})`);
          },
          Literal(node) {
            if (node.parent.type === "TSLiteralType") return;
            if (typeof node.value === "boolean") point(node, "boolean", String(!node.value));
            else if (typeof node.value === "number") point(node, "number", `(${node.raw} + 1)`);
          },
        };
      },
    },
  },
};

export default plugin;
