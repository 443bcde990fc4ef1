/** The code generator: what it reads, what it refuses, and that its output is fresh. */
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import t from 'tap';
import { generate, readContract, targets } from '../../tools/codegen/main.js';
import { type Contract, parseContract } from '../../tools/codegen/contract.js';
import { writeTypeScript } from '../../tools/codegen/typescript.js';
import { packageRoot } from '../../userland/common/paths.js';
import { compiler, contractPrelude } from './c-compiler.js';

t.test('the committed codecs are those of the headers', async (t) => {
  for (const target of targets) {
    const present = await readFile(path.join(packageRoot(), target.output), 'utf8');
    t.equal(present, await generate(target), `${target.output} (run: npm run codegen)`);
  }
});

/** What clang must agree with: every constant, control code, enum constant, offset and size. */
function assertions(contract: Contract): string[] {
  const lines: string[] = [];
  const check = (condition: string): void => {
    lines.push(`_Static_assert(${condition}, ${JSON.stringify(condition)});`);
  };
  for (const { name, value } of contract.constants) {
    if (typeof value === 'bigint') check(`${name} == ${value}ull`);
  }
  for (const { name, code } of contract.ioctls) check(`(${name}) == ${code}u`);
  for (const { constants } of contract.enums) {
    for (const { name, value } of constants) check(`${name} == ${value}`);
  }
  for (const { name, size, alignment, fields } of contract.structs) {
    check(`sizeof(${name}) == ${size}`);
    check(`_Alignof(${name}) == ${alignment}`);
    for (const field of fields) {
      check(`__builtin_offsetof(${name}, ${field.name}) == ${field.offset}`);
      check(`sizeof(((${name} *)0)->${field.name}) == ${field.size}`);
    }
  }
  return lines;
}

t.test(
  "the computed layout is the compiler's",
  { skip: compiler ? false : 'no clang here' },
  async (t) => {
    const compile = (header: string, lines: string[]) =>
      spawnSync(
        compiler!,
        ['-fsyntax-only', '-std=c17', '-fms-extensions', '-fshort-wchar', '-x', 'c', '-'],
        {
          input: [contractPrelude(header), ...lines].join('\n'),
          encoding: 'utf8',
        },
      );
    for (const target of targets) {
      const lines = assertions(await readContract(target));
      t.ok(lines.length > 300, `${lines.length} facts of ${target.header}`);
      const { status, stderr } = compile(target.header, lines);
      t.equal(status, 0, stderr);
      // The check can fail.
      const wrong = lines.map((line) => line.replace(/(sizeof\(\w+_VERSION\)) == \d+/, '$1 == 4'));
      t.not(compile(target.header, wrong).status, 0);
    }
  },
);

const minimal = [
  '#pragma once',
  '#define X_LIMIT 4',
  '#define X_IOCTL_GET CTL_CODE(0x12, 0x900, 0, 1) /* -> X_THING */',
  '',
  '/* What it is. */',
  'typedef enum X_KIND {',
  '    XKindOne = 1, /* the first */',
  '    XKindTwo = X_LIMIT << 1 | 1',
  '} X_KIND;',
  '',
  '/* A thing.',
  ' * In two lines. */',
  'typedef struct X_THING {',
  '    UINT32 Kind; /* X_KIND */',
  '    UINT16 HomePort;',
  '    UINT8 Reserved[2];',
  '    UINT64 Values[X_LIMIT];',
  '} X_THING;',
  '#define X_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)',
  'X_ASSERT_SIZE(X_THING, 40);',
];

t.test('a header of the dialect', (t) => {
  const contract = parseContract(minimal.join('\n'), 'x.h');
  t.match(contract.constants, [{ name: 'X_LIMIT', value: 4n, line: 2 }]);
  t.match(contract.ioctls, [{ name: 'X_IOCTL_GET', code: 0x126400, access: 'read' }]);
  t.match(contract.enums, [
    {
      doc: 'What it is.',
      constants: [
        { name: 'XKindOne', value: 1, doc: 'the first' },
        { name: 'XKindTwo', value: 9, doc: '' },
      ],
    },
  ]);
  t.match(contract.structs, [
    {
      doc: 'A thing.\nIn two lines.',
      size: 40,
      alignment: 8,
      fields: [
        { name: 'Kind', offset: 0, enumeration: 'X_KIND' },
        { name: 'HomePort', offset: 4, size: 2 },
        { name: 'Reserved', reserved: true },
        { name: 'Values', offset: 8, size: 32, count: 4 },
      ],
    },
  ]);
  t.end();
});

t.test('ports are in network byte order, the ends of a range of ports are not', (t) => {
  const lines = minimal.with(15, '    UINT16 FirstPort;');
  const written = writeTypeScript(parseContract(lines.join('\n'), 'x.h'), {
    header: 'x.h',
    title: 'X',
    prefix: 'X',
    runtime: './struct.js',
  });
  t.match(written, 'homePort: port(4),');
  t.match(written, 'firstPort: u16(6),');
  t.end();
});

t.test('what is not of the dialect is refused by its line', (t) => {
  const refused: [line: number, becomes: string, message: RegExp][] = [
    [2, '#define X_LIMIT', /has no value/],
    [2, '#define X_LIMIT unknown', /'unknown' has no known value/],
    [2, '#define X_LIMIT (4', /'\)' expected/],
    [2, '#include <stdint.h>', /not part of the contract dialect/],
    [2, '#if X', /not part of the contract dialect/],
    [2, '#define X_LIMIT(a) a', /the one that asserts sizes/],
    [2, '@', /unexpected character/],
    [2, 'int x;', /not part of the contract dialect/],
    [3, '#define X_IOCTL_GET CTL_CODE(0x12, 0x900, 3, 1) /* -> */', /METHOD_BUFFERED/],
    [3, '#define X_IOCTL_GET CTL_CODE(0x12, 0x900, 0) /* -> */', /four parameters/],
    [3, '#define X_IOCTL_GET CTL_CODE(0x12, 0x1900, 0, 1) /* -> */', /out of range/],
    [3, '#define X_IOCTL_GET CTL_CODE(0x12, 0x900, 0, 1)', /input -> output/],
    [7, '    XKindOne,', /'=' expected/],
    [8, '    XKindOne = 3', /already declared on line 7/],
    [8, '    XKindTwo = 1', /the value of 'XKindOne'/],
    [9, '} X_TYPE;', /differ/],
    [14, '    UINT32 *Kind;', /'name' expected/],
    [14, '    DWORD Kind;', /neither UINT8/],
    [14, '    UINT16 Kind; /* X_KIND */', /must be a UINT32/],
    [14, '    UINT32 Kind : 4;', /unexpected character ":"/],
    [15, '    UINT64 HomePort;', /4 bytes of padding before it/],
    [15, '    UINT16 Kind;', /there is a field 'Kind' already/],
    [16, '', /4 bytes of padding|6 bytes of padding|2 bytes of padding/],
    [17, '    UINT64 Values[0];', /has no elements/],
    [17, '    UINT64 Values; UINT8 Tail;', /ends with 7 bytes of padding/],
    [20, 'X_ASSERT_SIZE(X_THING, 48);', /has 40 bytes, not 48/],
  ];
  for (const [line, becomes, message] of refused) {
    const lines = minimal.with(line - 1, becomes);
    let thrown: unknown = null;
    try {
      parseContract(lines.join('\n'), 'x.h');
    } catch (error) {
      thrown = error;
    }
    const said = thrown instanceof Error ? thrown.message : 'nothing';
    t.match(said, message, `line ${line}: ${becomes}`);
    t.match(said, /^x\.h:\d+: /);
    // A missing field is noticed at what follows it.
    if (becomes && !message.source.includes('padding'))
      t.match(said, new RegExp(`^x\\.h:${line}: `));
  }
  t.end();
});

t.test('the command says whether the codecs are fresh', (t) => {
  const main = path.join(packageRoot(), 'dist/tools/codegen/main.js');
  const { status, stderr } = spawnSync(process.execPath, [main, '--check'], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
  t.end();
});
