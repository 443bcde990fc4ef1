/**
 * What a contract header declares, and the parser that reads it.
 *
 * The dialect (kernel/include/ntswift/*.h):
 *  - `#define NAME value` where value is an integer expression of literals and earlier names, a string,
 *    or CTL_CODE(device, function, method, access) whose comment says `input -> output`;
 *  - `typedef enum X { A = 1, ... } X;` with a value for every constant;
 *  - `typedef struct X { type Field[count]; ... } X;` of UINT8 .. UINT64, earlier structures and arrays of
 *    them, naturally aligned without implicit padding: gaps are Reserved fields;
 *  - one macro of static assertions, whose uses `NAME_ASSERT_SIZE(type, bytes);` must agree with the layout.
 * A field whose comment begins with the name of an enum holds a constant of it.
 */
import { ContractError, type Token, tokenize } from './lexer.js';

export interface Constant {
  readonly name: string;
  readonly value: bigint | string;
  readonly doc: string;
  readonly line: number;
}

export interface Ioctl {
  readonly name: string;
  readonly code: number;
  readonly access: 'any' | 'read' | 'write' | 'read and write';
  readonly doc: string;
  readonly line: number;
}

export interface EnumConstant {
  readonly name: string;
  readonly value: number;
  readonly doc: string;
}

export interface EnumType {
  readonly name: string;
  readonly constants: readonly EnumConstant[];
  readonly doc: string;
  readonly line: number;
}

export interface Field {
  readonly name: string;
  /** UINT8 .. UINT64 or the name of a structure. */
  readonly type: string;
  /** Elements of an array; null for a single value. */
  readonly count: number | null;
  readonly offset: number;
  /** Of the whole field. */
  readonly size: number;
  /** The enum whose constants it holds. */
  readonly enumeration: string | null;
  readonly reserved: boolean;
  readonly doc: string;
  readonly line: number;
}

export interface StructType {
  readonly name: string;
  readonly size: number;
  readonly alignment: number;
  readonly fields: readonly Field[];
  readonly doc: string;
  readonly line: number;
}

export interface Contract {
  readonly constants: readonly Constant[];
  readonly ioctls: readonly Ioctl[];
  readonly enums: readonly EnumType[];
  readonly structs: readonly StructType[];
}

const INTEGERS: Readonly<Record<string, number>> = { UINT8: 1, UINT16: 2, UINT32: 4, UINT64: 8 };
const ACCESS = ['any', 'read', 'write', 'read and write'] as const;
/** METHOD_BUFFERED and METHOD_OUT_DIRECT. */
const METHODS: readonly bigint[] = [0n, 2n];

export function parseContract(source: string, file: string): Contract {
  return new Parser(source, file).parse();
}

class Parser {
  private readonly tokens: Token[];
  private at = 0;
  private readonly constants: Constant[] = [];
  private readonly ioctls: Ioctl[] = [];
  private readonly enums: EnumType[] = [];
  private readonly structs: StructType[] = [];
  private readonly values = new Map<string, bigint>();
  private readonly names = new Map<string, number>();
  private assertion: string | null = null;

  constructor(
    source: string,
    private readonly file: string,
  ) {
    this.tokens = tokenize(source, file);
  }

  parse(): Contract {
    let doc: Token | null = null;
    for (;;) {
      const token = this.tokens[this.at];
      if (!token) break;
      if (token.kind === 'comment') {
        doc = token; // of the declaration on the next line, if there is one
        this.at++;
        continue;
      }
      const above = doc && token.line === doc.endLine + 1 ? doc.text : '';
      doc = null;
      if (token.kind === 'directive') {
        this.at++;
        this.directive(token, above);
      } else if (token.text === 'typedef') {
        this.at++;
        const keyword = this.take('name');
        if (keyword.text === 'enum') this.enum(above);
        else if (keyword.text === 'struct') this.struct(above);
        else this.fail(keyword, `a contract declares enums and structs, not '${keyword.text}'`);
      } else if (token.text === this.assertion) {
        this.at++;
        this.sizeAssertion();
      } else {
        this.fail(token, `'${token.text}' is not part of the contract dialect`);
      }
    }
    return {
      constants: this.constants,
      ioctls: this.ioctls,
      enums: this.enums,
      structs: this.structs,
    };
  }

  private fail(token: { line: number }, message: string): never {
    throw new ContractError(this.file, token.line, message);
  }

  private take(kind: Token['kind'], text?: string): Token {
    const token = this.tokens[this.at];
    const wanted = text ?? kind;
    if (!token)
      throw new ContractError(this.file, 0, `the file ends where '${wanted}' is expected`);
    if (token.kind !== kind || (text !== undefined && token.text !== text)) {
      this.fail(token, `'${wanted}' expected, not '${token.text}'`);
    }
    this.at++;
    return token;
  }

  private accept(text: string): boolean {
    const token = this.tokens[this.at];
    if (token?.kind !== 'punctuation' || token.text !== text) return false;
    this.at++;
    return true;
  }

  private skipComments(): void {
    while (this.tokens[this.at]?.kind === 'comment') this.at++;
  }

  /** The comment that follows on the line of what it describes. */
  private trailingComment(line: number): string {
    const token = this.tokens[this.at];
    if (token?.kind !== 'comment' || token.line !== line || token.first) return '';
    this.at++;
    return token.text.replace(/\s*\n\s*/g, ' ');
  }

  private declare(name: Token): void {
    const earlier = this.names.get(name.text);
    if (earlier !== undefined) {
      this.fail(name, `'${name.text}' is already declared on line ${earlier}`);
    }
    this.names.set(name.text, name.line);
  }

  // Preprocessor

  private directive(token: Token, above: string): void {
    const define = /^#\s*define\s+(\w+)(\(?)\s*([\s\S]*)$/.exec(token.text);
    if (/^#\s*pragma\s+once$/.test(token.text)) return;
    if (!define) this.fail(token, `'${token.text}' is not part of the contract dialect`);
    const name = define[1] ?? '';
    if (define[2]) {
      if (!token.text.includes('_Static_assert(sizeof(type) == (bytes)') || this.assertion) {
        this.fail(token, `the only macro with parameters is the one that asserts sizes`);
      }
      this.assertion = name;
      return;
    }
    const doc = this.trailingComment(token.line) || above;
    const body = tokenize(define[3] ?? '', this.file).map((part) => ({
      ...part,
      line: token.line,
    }));
    this.declare({ ...token, text: name });
    const [head] = body;
    if (!head) this.fail(token, `'${name}' has no value`);
    if (head.kind === 'string') {
      if (body.length > 1) this.fail(token, `'${name}' is more than a string`);
      this.constants.push({ name, value: stringValue(head.text), doc, line: token.line });
    } else if (head.text === 'CTL_CODE') {
      this.ioctls.push(this.ioctl(name, body, doc, token));
    } else {
      const value = this.evaluate(body, token);
      this.values.set(name, value);
      this.constants.push({ name, value, doc, line: token.line });
    }
  }

  private ioctl(name: string, body: Token[], doc: string, token: Token): Ioctl {
    const groups: Token[][] = [[]];
    if (body[1]?.text !== '(' || body.at(-1)?.text !== ')') {
      this.fail(token, `'${name}': CTL_CODE(device, function, method, access) expected`);
    }
    for (const part of body.slice(2, -1)) {
      if (part.text === ',') groups.push([]);
      else groups.at(-1)?.push(part);
    }
    const [device, number, method, access, extra] = groups.map((group) =>
      this.evaluate(group, token),
    );
    if (
      device === undefined ||
      number === undefined ||
      method === undefined ||
      access === undefined ||
      extra !== undefined
    ) {
      this.fail(token, `'${name}': CTL_CODE has four parameters`);
    }
    if (device > 0xffffn || number > 0xfffn || access > 3n) {
      this.fail(token, `'${name}': a parameter of CTL_CODE is out of range`);
    }
    if (!METHODS.includes(method)) {
      this.fail(
        token,
        `'${name}': every control code is METHOD_BUFFERED (0) or METHOD_OUT_DIRECT (2)`,
      );
    }
    if (!doc.includes('->')) {
      this.fail(token, `'${name}': its comment must say 'input -> output'`);
    }
    const code = Number((device << 16n) | (access << 14n) | (number << 2n) | method);
    const twin = this.ioctls.find((other) => other.code === code);
    if (twin) this.fail(token, `'${name}' is the control code of '${twin.name}'`);
    return { name, code, access: ACCESS[Number(access)] ?? 'any', doc, line: token.line };
  }

  /** expression: shift ('|' shift)*; shift: sum ('<<' sum)*; sum: product (('+'|'-') product)*; ... */
  private evaluate(tokens: readonly Token[], where: { line: number }): bigint {
    let at = 0;
    const peek = (): string => tokens[at]?.text ?? '';
    const primary = (): bigint => {
      const token = tokens[at++];
      if (!token) this.fail(where, 'an expression ends early');
      if (token.kind === 'number') return BigInt(token.text.replace(/[uUlL]+$/, ''));
      if (token.text === '(') {
        const value = either();
        if (tokens[at++]?.text !== ')') this.fail(where, `')' expected`);
        return value;
      }
      const value = token.kind === 'name' ? this.values.get(token.text) : undefined;
      if (value === undefined) this.fail(where, `'${token.text}' has no known value here`);
      return value;
    };
    const chain = (
      next: () => bigint,
      operators: Record<string, (a: bigint, b: bigint) => bigint>,
    ): bigint => {
      let value = next();
      for (let op = operators[peek()]; op; op = operators[peek()]) {
        at++;
        value = op(value, next());
      }
      return value;
    };
    const product = (): bigint => chain(primary, { '*': (a, b) => a * b });
    const sum = (): bigint => chain(product, { '+': (a, b) => a + b, '-': (a, b) => a - b });
    const shift = (): bigint => chain(sum, { '<<': (a, b) => a << b });
    const either = (): bigint => chain(shift, { '|': (a, b) => a | b });
    const value = either();
    if (at !== tokens.length) this.fail(where, `'${peek()}' is not expected in an expression`);
    return value;
  }

  /** Tokens up to one of the closing marks, evaluated. */
  private expression(...ends: string[]): bigint {
    const start = this.at;
    const head = this.tokens[start];
    let depth = 0;
    for (;;) {
      const token = this.tokens[this.at];
      if (!token) throw new ContractError(this.file, 0, 'the file ends within an expression');
      if (depth === 0 && ends.includes(token.text)) break;
      if (token.kind === 'comment') break;
      if (token.text === '(') depth++;
      if (token.text === ')') depth--;
      this.at++;
    }
    return this.evaluate(this.tokens.slice(start, this.at), head ?? { line: 0 });
  }

  // Types

  private enum(doc: string): void {
    const name = this.take('name');
    this.declare(name);
    this.take('punctuation', '{');
    const constants: EnumConstant[] = [];
    this.skipComments();
    while (!this.accept('}')) {
      const constant = this.take('name');
      this.declare(constant);
      this.take('punctuation', '=');
      const value = this.expression(',', '}');
      if (value < 0n || value > 0x7fffffffn)
        this.fail(constant, `'${constant.text}' is out of range`);
      const twin = constants.find((other) => BigInt(other.value) === value);
      if (twin) this.fail(constant, `'${constant.text}' has the value of '${twin.name}'`);
      const line = this.tokens[this.at - 1]?.line ?? constant.line;
      const more = this.accept(',');
      this.values.set(constant.text, value);
      constants.push({
        name: constant.text,
        value: Number(value),
        doc: this.trailingComment(line),
      });
      this.skipComments();
      if (!more && this.tokens[this.at]?.text !== '}') {
        this.fail(constant, `',' or '}' expected after '${constant.text}'`);
      }
    }
    this.closing(name);
    if (constants.length === 0) this.fail(name, `'${name.text}' has no constants`);
    this.enums.push({ name: name.text, constants, doc, line: name.line });
  }

  private closing(name: Token): void {
    const end = this.take('name');
    if (end.text !== name.text) {
      this.fail(end, `the tag '${name.text}' and the name '${end.text}' differ`);
    }
    this.take('punctuation', ';');
  }

  private struct(doc: string): void {
    const name = this.take('name');
    this.declare(name);
    this.take('punctuation', '{');
    const fields: Field[] = [];
    let offset = 0;
    let alignment = 1;
    this.skipComments();
    while (!this.accept('}')) {
      const field = this.field(offset, fields);
      const aligned = this.typeOf(field.type, field).alignment;
      if (offset % aligned !== 0) {
        this.fail(
          field,
          `'${field.name}' leaves ${aligned - (offset % aligned)} bytes of padding before it: name them Reserved`,
        );
      }
      fields.push(field);
      offset += field.size;
      alignment = Math.max(alignment, aligned);
      this.skipComments();
    }
    this.closing(name);
    if (fields.length === 0) this.fail(name, `'${name.text}' has no fields`);
    if (offset % alignment !== 0) {
      this.fail(
        name,
        `'${name.text}' ends with ${alignment - (offset % alignment)} bytes of padding: name them Reserved`,
      );
    }
    this.structs.push({ name: name.text, size: offset, alignment, fields, doc, line: name.line });
  }

  private typeOf(type: string, where: { line: number }): { size: number; alignment: number } {
    const integer = INTEGERS[type];
    if (integer !== undefined) return { size: integer, alignment: integer };
    const struct = this.structs.find((other) => other.name === type);
    if (!struct) this.fail(where, `'${type}' is neither UINT8 .. UINT64 nor an earlier structure`);
    return struct;
  }

  private field(offset: number, earlier: readonly Field[]): Field {
    const type = this.take('name');
    const name = this.take('name');
    let count: number | null = null;
    if (this.accept('[')) {
      count = Number(this.expression(']'));
      this.take('punctuation', ']');
      if (count < 1) this.fail(name, `'${name.text}' has no elements`);
    }
    const end = this.take('punctuation', ';');
    const doc = this.trailingComment(end.line);
    if (earlier.some((other) => other.name === name.text)) {
      this.fail(name, `there is a field '${name.text}' already`);
    }
    const { size } = this.typeOf(type.text, type);
    const leading = /^\w+/.exec(doc)?.[0];
    const enumeration = this.enums.find((other) => other.name === leading)?.name ?? null;
    if (enumeration && (type.text !== 'UINT32' || count !== null)) {
      this.fail(name, `'${name.text}' holds ${enumeration} and must be a UINT32`);
    }
    return {
      name: name.text,
      type: type.text,
      count,
      offset,
      size: size * (count ?? 1),
      enumeration,
      reserved: /^Reserved\d*$/.test(name.text),
      doc,
      line: name.line,
    };
  }

  private sizeAssertion(): void {
    this.take('punctuation', '(');
    const type = this.take('name');
    this.take('punctuation', ',');
    const bytes = Number(this.expression(')'));
    this.take('punctuation', ')');
    this.take('punctuation', ';');
    const { size } = this.typeOf(type.text, type);
    if (size !== bytes) this.fail(type, `'${type.text}' has ${size} bytes, not ${bytes}`);
  }
}

/** The value of a C string literal of the plain kind: only \\ and \" are escaped in contracts. */
function stringValue(literal: string): string {
  return literal.replace(/^L/, '').slice(1, -1).replace(/\\(.)/g, '$1');
}
