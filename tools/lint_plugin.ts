/**
 * The house rules that `deno lint` does not know: who may import whom, where the operating system may
 * be touched, that nobody prints, and how an error message is built. It looks at one file at a time
 * and changes nothing.
 */

/**
 * The folders and files of `src/`, in the order of docs/ARCHITECTURE.md: left may be imported by
 * right, never the other way. Names that stand together may import each other.
 */
export const LAYERS: readonly (readonly string[])[] = [
  [
    "fault.ts",
    "issue.ts",
    "json.ts",
    "event.ts",
    "id.ts",
    "machine_state.ts",
    "data_path.ts",
    "permissions.ts",
    "within.ts",
    "sha256.ts",
    "escape.ts",
    "folder.ts",
    "free_name.ts",
    "one_at_a_time.ts",
  ],
  ["boot"],
  ["measure"],
  ["policy"],
  ["registry"],
  ["seccomp"],
  ["plan"],
  ["jail"],
  ["guest"],
  ["network"],
  ["share"],
  ["saved"],
  ["disk"],
  ["supervisor"],
  ["presentation"],
  ["control"],
  ["recovery"],
  ["runtime.ts"],
  ["phase"],
  ["sequence.ts"],
  ["init.ts"],
  ["cli"],
];

/** The one way by which a guest gets input. */
const INPUT_COMMAND = "input-send-event";
/** The gate at work, and the table of commands with their answers. */
const MAY_SEND_INPUT = ["src/presentation/presenter.ts", "src/guest/qmp.ts"];

/** The socket of QEMU's VNC server, which would take keys too, and who may name it. */
const VNC_SOCKET = "vnc";
const MAY_NAME_VNC = ["src/id.ts", "src/phase/screen.ts"];
/** Who writes at all of those that show pictures: to that socket, and to the framebuffer. */
const MAY_WRITE_PICTURES = [
  "src/presentation/rfb_messages.ts",
  "src/presentation/framebuffer.ts",
];

/** Reading logs is for display only, so only these may import `audit/`. */
const MAY_IMPORT_AUDIT = [
  "control",
  "recovery",
  "runtime.ts",
  "phase",
  "sequence.ts",
  "init.ts",
  "cli",
];

/** Who reads the audit log back, for a person. */
const READS_LOGS = /\/src\/((cli|control|recovery)\/.*|phase\/audit_commands\.ts)$/;

/** Who may ask the ring for its lines: to show them, or to put them into a crash report. */
const SHOWS_LINES =
  /\/src\/(phase\/(host_view|crash|recovery_console)\.ts|(audit|recovery|control)\/.*)$/;

/** Who writes to the console: the lines, the prompt, and the key that is shown once. */
const PRINTS = /\/src\/(audit\/sinks\.ts|phase\/(audit|recovery_console)\.ts|host\/.*)$/;

/** Modules of node that touch the operating system. */
const SYSTEM_MODULES = [
  "child_process",
  "cluster",
  "dgram",
  "fs",
  "fs/promises",
  "http",
  "https",
  "net",
  "os",
  "process",
  "tls",
  "worker_threads",
];

/** A file of `src/`, by the first part of its path there; null for any other file and for tests. */
interface Place {
  /** `policy`, or `fault.ts` for a file that lies in `src/` itself. */
  readonly layer: string;
  readonly root: string;
  readonly file: string;
}

function placeOf(filename: string): Place | null {
  const parts = filename.split("/");
  const at = parts.lastIndexOf("src");
  const layer = parts[at + 1];
  if (at === -1 || layer === undefined || isOfTests(filename)) return null;
  return { layer, root: parts.slice(0, at + 1).join("/"), file: filename };
}

function isOfTests(filename: string): boolean {
  return filename.endsWith("_test.ts") || filename.includes("/testdata/");
}

/**
 * Why a file may not import another, or null where it may.
 *
 * @param from absolute path of the importing file
 * @param specifier as it stands in the import
 * @param typeOnly whether nothing of it is left when the program runs
 * @param names what is imported by name
 */
export function whyNotImport(
  from: string,
  specifier: string,
  typeOnly: boolean,
  names: readonly string[] = [],
): string | null {
  const own = placeOf(from);
  if (own === null || !specifier.startsWith(".")) return null;
  const target = new URL(specifier, `file://${from}`).pathname;
  if (!target.startsWith(`${own.root}/`)) return "src/ imports nothing that lies outside it";
  if (isOfTests(target)) return "what tests share is imported by tests only";
  const layer = target.slice(own.root.length + 1).split("/", 1)[0] ?? "";
  if (layer === own.layer) return null;
  if (layer === "policy" && own.layer !== "runtime.ts" && target.endsWith("/authorize.ts")) {
    if (names.includes("authorize")) return "only runtime.ts decides, and records it: use decide";
  }
  if (layer === "host") return whyNotHost(own, target, typeOnly);
  if (layer === "audit" && target.endsWith("/audit/reader.ts") && !READS_LOGS.test(from)) {
    return "logs are read back for display only: in cli/, control/ and recovery/";
  }
  if (layer === "audit") {
    return MAY_IMPORT_AUDIT.includes(own.layer) ? null : `${own.layer} may not import audit/`;
  }
  const theirs = rankOf(layer);
  if (theirs === -1) return `${layer} has no place in the order of LAYERS; give it one`;
  if (own.layer === "host" || own.layer === "audit") {
    return theirs === 0 ? null : `${own.layer}/ imports only the leftmost files, not ${layer}`;
  }
  const ours = rankOf(own.layer);
  if (ours === -1) return `${own.layer} has no place in the order of LAYERS; give it one`;
  return theirs <= ours ? null : `${own.layer} stands left of ${layer} and may not import it`;
}

function whyNotHost(own: Place, target: string, typeOnly: boolean): string | null {
  if (own.layer === "cli") return null;
  if (!target.endsWith("/host/port.ts")) return "only cli/, main.ts and tools/ make the real host";
  return typeOnly ? null : "the port is taken as a parameter: import its types only";
}

function rankOf(layer: string): number {
  return LAYERS.findIndex((names) => names.includes(layer));
}

/** Why a file may not touch the operating system by that module, or null where it may. */
export function whyNotModule(from: string, specifier: string): string | null {
  const own = placeOf(from);
  if (own === null || own.layer === "host") return null;
  const name = specifier.replace(/^node:/, "");
  return SYSTEM_MODULES.includes(name) ? `${specifier} is used in src/host/ only` : null;
}

/**
 * Why a message does not say `<what>: <why>; <what to do>`, or null where it does. The last part is
 * left out where nobody can do anything.
 *
 * @param message with something in the place of each value that is filled in
 */
export function whyNotMessage(message: string): string | null {
  const colon = message.indexOf(": ");
  if (colon <= 0) return "a message is <what>: <why>; <what to do>";
  const why = message.slice(colon + 2);
  if (why.trim() === "" || why.startsWith(";")) return "a message says why after the colon";
  if (/[.!;:]\s*$/.test(message)) return "a message ends without a stop";
  if (message !== message.trim()) return "a message has no blanks around it";
  return /(?<!:)\n/.test(message) ? "a message is one line; what it quotes follows a colon" : null;
}

/** A literal's text, with `x` for what is filled in; null where it cannot be known. */
function textOf(node: Deno.lint.Expression): string | null {
  if (node.type === "Literal") return typeof node.value === "string" ? node.value : null;
  if (node.type === "TemplateLiteral") {
    return node.quasis.map((one) => one.cooked).join("x");
  }
  if (node.type === "BinaryExpression" && node.operator === "+") {
    const parts = [node.left, node.right].map((one) =>
      one.type === "PrivateIdentifier" ? null : textOf(one) ?? "x"
    );
    return parts.join("");
  }
  return null;
}

function importRule(
  why: (
    from: string,
    specifier: string,
    typeOnly: boolean,
    names: readonly string[],
  ) => string | null,
) {
  return {
    create(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
      const check = (
        source: Deno.lint.Node,
        specifier: unknown,
        typeOnly: boolean,
        names: readonly string[] = [],
      ) => {
        if (typeof specifier !== "string") return;
        const message = why(context.filename.replaceAll("\\", "/"), specifier, typeOnly, names);
        if (message !== null) context.report({ node: source, message });
      };
      return {
        ImportDeclaration(node) {
          const typeOnly = node.importKind === "type" || node.specifiers.length > 0 &&
              node.specifiers.every((one) =>
                one.type === "ImportSpecifier" && one.importKind === "type"
              );
          const names = node.specifiers.flatMap((one) =>
            one.type !== "ImportSpecifier"
              ? []
              : [one.imported.type === "Identifier" ? one.imported.name : one.imported.value]
          );
          check(node.source, node.source.value, typeOnly, names);
        },
        ExportNamedDeclaration(node) {
          if (node.source) check(node.source, node.source.value, node.exportKind === "type");
        },
        ExportAllDeclaration(node) {
          check(node.source, node.source.value, node.exportKind === "type");
        },
        ImportExpression(node) {
          if (node.source.type === "Literal") check(node.source, node.source.value, false);
        },
      };
    },
  };
}

/** Whether it is that file, by its path from the project's folder. */
const isFile = (filename: string, path: string) =>
  filename.replaceAll("\\", "/").endsWith(`/${path}`);

/** `host`, `this.host`, `runtime.host`, …: the port by the name that it has everywhere. */
function isHost(node: Deno.lint.Expression | Deno.lint.Super): boolean {
  if (node.type === "Identifier") return node.name === "host";
  return node.type === "MemberExpression" && node.property.type === "Identifier" &&
    node.property.name === "host";
}

const plugin: Deno.lint.Plugin = {
  name: "rayos",
  rules: {
    /** Data flows one way. */
    "import-direction": importRule(whyNotImport),
    /** The machine is touched in one place. */
    "system-module": importRule(whyNotModule),
    "system-deno": {
      create(context) {
        const own = placeOf(context.filename);
        if (own === null || own.layer === "host") return {};
        const message = "Deno.* is used in src/host/ only";
        return {
          // A type such as Deno.Conn is no use; those are TSQualifiedName.
          MemberExpression(node) {
            if (node.object.type === "Identifier" && node.object.name === "Deno") {
              context.report({ node, message });
            } else if (
              node.object.type === "Identifier" && node.object.name === "globalThis" &&
              node.property.type === "Identifier" && node.property.name === "Deno"
            ) context.report({ node, message });
          },
          VariableDeclarator(node) {
            if (node.init?.type === "Identifier" && node.init.name === "Deno") {
              context.report({ node, message });
            }
          },
        };
      },
    },
    /** Nobody logs: folders return or emit events. */
    "no-console": {
      create(context) {
        const own = placeOf(context.filename);
        if (own === null) return {};
        const { filename } = context;
        return {
          MemberExpression(node) {
            const name = node.property.type === "Identifier" ? node.property.name : "";
            const prints = (name === "console" || name === "harness") && isHost(node.object);
            if (prints && !PRINTS.test(filename)) {
              context.report({
                node,
                message: "only the sinks write to the console: emit an event",
              });
            }
            if (name === "lastLines" && !SHOWS_LINES.test(filename)) {
              context.report({ node, message: "lines of the log are read back for display only" });
            }
            if (node.object.type === "Identifier" && node.object.name === "console") {
              context.report({ node, message: "nothing in src/ prints: return or emit an event" });
            }
          },
        };
      },
    },
    /** Every key that reaches a guest passes the gate. */
    "input-gate": {
      create(context) {
        if (placeOf(context.filename) === null) return {};
        if (MAY_SEND_INPUT.some((one) => isFile(context.filename, one))) return {};
        const message = "only presentation/presenter.ts sends input, as the gate says";
        return {
          Literal(node) {
            if (node.value === INPUT_COMMAND) context.report({ node, message });
          },
          TemplateLiteral(node) {
            if (node.quasis.some((one) => one.cooked.includes(INPUT_COMMAND))) {
              context.report({ node, message });
            }
          },
        };
      },
    },
    /** What is said to QEMU's VNC server is a closed list, without input, in one file. */
    "picture-only": {
      create(context) {
        const own = placeOf(context.filename);
        if (own === null) return {};
        const is = (one: string) => isFile(context.filename, one);
        const mayWrite = MAY_WRITE_PICTURES.some(is) ||
          (own.layer !== "presentation" && !is("src/phase/screen.ts"));
        const mayName = MAY_NAME_VNC.some(is);
        return {
          Literal(node) {
            if (mayName || node.value !== VNC_SOCKET) return;
            context.report({ node, message: "only phase/screen.ts connects to a guest's VNC" });
          },
          MemberExpression(node) {
            if (mayWrite || node.property.type !== "Identifier") return;
            if (node.property.name !== "write") return;
            const message = "what is said to a guest's VNC stands in rfb_messages.ts";
            context.report({ node, message });
          },
        };
      },
    },
    /** `<what>: <why>; <what to do>`, and a dotted code that a program can compare. */
    "fault-message": {
      create(context) {
        return {
          NewExpression(node) {
            if (node.callee.type !== "Identifier" || node.callee.name !== "Fault") return;
            const [, code, message] = node.arguments;
            if (code?.type === "Literal" && typeof code.value === "string") {
              if (!/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/.test(code.value)) {
                context.report({ node: code, message: "a code is <area>.<what>, lower case" });
              }
            }
            if (message === undefined || message.type === "SpreadElement") return;
            const text = textOf(message);
            const why = text === null ? null : whyNotMessage(text);
            if (why !== null) context.report({ node: message, message: why });
          },
        };
      },
    },
  },
};

export default plugin;
