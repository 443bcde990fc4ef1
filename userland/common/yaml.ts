/**
 * YAML files that people write: read, validated, and every error told with its file, line and column.
 *
 * All scalars are text (YAML's failsafe schema), so that a key of digits stays what was written and "no"
 * is a name like any other; the schema makes numbers where it wants them.
 */
import {
  type Document,
  LineCounter,
  type Node,
  isMap,
  isNode,
  isScalar,
  parseDocument,
} from 'yaml';
import { z } from 'zod';

export type Path = readonly PropertyKey[];

export interface Problem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface Located<T> {
  readonly value: T;
  /** "file:line:column" of what stands at a path, or of the nearest thing around it. */
  locate(path: Path): string;
}

export class YamlProblems extends Error {
  constructor(
    readonly file: string,
    readonly problems: readonly Problem[],
  ) {
    super(
      problems
        .map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`)
        .join('\n'),
    );
    this.name = 'YamlProblems';
  }
}

/**
 * The schema's message for a value is a noun phrase of what it should be ("a whole number from 1 to 9");
 * issues added in refinements are sentences.
 */
export function readYaml<S extends z.ZodType>(
  text: string,
  file: string,
  schema: S,
): Located<z.output<S>> {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    schema: 'failsafe',
    lineCounter: lines,
    prettyErrors: false,
  });
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    const problems = broken.map((error) => ({ ...at(error.pos[0]), message: error.message }));
    throw new YamlProblems(file, problems);
  }
  const offsetOf = (path: Path, ofKey = false): number => offsetIn(document, path, ofKey);
  const result = schema.safeParse(document.toJS({ maxAliasCount: 100 }), { reportInput: true });
  if (!result.success) {
    const problems = result.error.issues
      .flatMap((issue) => describe(issue))
      .map(({ path, ofKey, message }) => ({ ...at(offsetOf(path, ofKey)), message }));
    problems.sort((a, b) => a.line - b.line || a.column - b.column);
    throw new YamlProblems(file, problems);
  }
  return {
    value: result.data,
    locate(path) {
      const { line, column } = at(offsetOf(path));
      return `${file}:${line}:${column}`;
    },
  };
}

/** Where the node of a path begins, or its key; the key too where it leads to nothing. */
function offsetIn(document: Document.Parsed, path: Path, ofKey: boolean): number {
  let node: unknown = document.contents;
  let offset = start(node) ?? 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === String(step));
      if (!pair) break;
      node = pair.value;
      offset = start(node) ?? start(pair.key) ?? offset;
      const empty = isScalar(node) && node.value === '';
      if (ofKey || empty) offset = start(pair.key) ?? offset;
    } else {
      node =
        isNode(node) && 'items' in node ? (node as { items: unknown[] }).items[Number(step)] : null;
      offset = start(node) ?? offset;
    }
  }
  return offset;
}

function start(node: unknown): number | null {
  return isNode(node) ? ((node as Node).range?.[0] ?? null) : null;
}

/** members[1].mac */
export function pathText(path: Path): string {
  return path
    .map((step, i) =>
      typeof step === 'number' ? `[${step}]` : i === 0 ? String(step) : `.${String(step)}`,
    )
    .join('');
}

interface Described {
  readonly path: Path;
  readonly message: string;
  /** It is the key that is wrong. */
  readonly ofKey?: boolean;
}

function describe(issue: z.core.$ZodIssue): Described[] {
  const where = pathText(issue.path) || 'the file';
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const path = [...issue.path, key];
        const message = `${pathText(path)} is not known here; remove it or mend its name`;
        return { path, message, ofKey: true };
      });
    case 'custom':
      return [{ path: issue.path, message: issue.message }];
    default: {
      const { input } = issue;
      if (input === undefined) {
        return [{ path: issue.path, message: `${where} is missing: ${issue.message}` }];
      }
      const written = typeof input === 'string' ? JSON.stringify(input) : 'this';
      return [{ path: issue.path, message: `${where}: ${written} is not ${issue.message}` }];
    }
  }
}

// Pieces of schemas

/** A whole number. */
export function whole(min: number, max: number): z.ZodType<number, string> {
  const parse = (text: string): number | null => {
    const value = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : NaN;
    return value >= min && value <= max ? value : null;
  };
  return parsed(parse, `a whole number from ${min} to ${max}`);
}

/** Text that `parse` understands. */
export function parsed<T>(parse: (text: string) => T | null, error: string): z.ZodType<T, string> {
  return z.string(error).transform((text, context) => {
    const value = parse(text.trim());
    if (value !== null) return value;
    context.issues.push({ code: 'invalid_value', values: [], input: text, message: error });
    return z.NEVER;
  });
}

/** A mapping with exactly these keys. */
export function mapping<S extends z.ZodRawShape>(
  shape: S,
  error: string,
): z.ZodObject<S, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'invalid_type' ? error : undefined),
  });
}
