// The rooms of src and who imports whom, as docs/architecture.md shows them: the test reads both.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = new URL('..', import.meta.url).pathname;

interface Import {
  /** Path below src of the file that imports, and of what it imports; the name of a package. */
  readonly from: string;
  readonly to: string;
  readonly isPackage: boolean;
  /** Only types are imported: nothing is loaded. */
  readonly ofTypes: boolean;
}

/** Statements at the start of a line, so that examples in comments are none; and `import('…')`, also in types. */
const statement = /^(?:import|export)\s+(type\s+)?((?:[\w*\s,]|\{[^}]*\})*?)\s*(?:from\s*)?'([^']+)';?/gm;
const call = /(typeof )?\bimport\('([^']+)'\)/g;

function importsOf(from: string, source: string): Import[] {
  const found = (to: string, ofTypes: boolean): Import => {
    const isPackage = !to.startsWith('.');
    const path = isPackage ? to : posix.join(posix.dirname(from), to).replace(/\.js$/, '.ts');
    return { from, to: path, isPackage, ofTypes };
  };
  const code = source.replace(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  const statements = [...code.matchAll(statement)].map(([, type, names = '', to = '']) => {
    const list = /^\{([^}]*)\}$/
      .exec(names.trim())?.[1]
      ?.split(',')
      .map((name) => name.trim());
    const onlyTypes = list?.every((name) => name === '' || name.startsWith('type ')) ?? false;
    return found(to, type !== undefined || onlyTypes);
  });
  const calls = [...code.matchAll(call)].map(([, type, to = '']) => found(to, type !== undefined));
  return [...statements, ...calls];
}

const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'));
const imports = files.flatMap((path) => importsOf(path, readFileSync(join(root, 'src', path), 'utf8')));

/** The first folder of a path; files beside the rooms have none. */
const roomOf = (path: string): string => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '');
const entries = ['index.ts', 'node.ts', 'web.ts'];

/** What each room may import, from the table of the document. */
const table = new Map(
  [...readFileSync(join(root, 'docs', 'architecture.md'), 'utf8').matchAll(/^\| `(\w+)\/` *\|.*\|([^|]*)\|$/gm)].map(
    ([, room = '', allowed = '']) => [room, [...allowed.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)] as const,
  ),
);

const show = ({ from, to }: Import): string => `${from} imports ${to}`;

it('reads imports of every form, and none in comments', () => {
  const source = [
    "import a, { b } from './x/a.js';",
    "import type { C } from './c.js';",
    "import {\n  type D,\n  type E,\n} from '../d.js';",
    "export { f, type F } from 'package';",
    "export * from './g.js';",
    "import './h.js';",
    "// import './no.js';",
    " * import { no } from './no.js';",
    "const later = await import('./later.js');",
    "type Later = typeof import('./types.js');",
  ].join('\n');
  const read = importsOf('room/file.ts', source).map(({ to, ofTypes }) => `${to} ${ofTypes}`);
  expect(read).toEqual([
    ...['room/x/a.ts false', 'room/c.ts true', 'd.ts true', 'package false', 'room/g.ts false', 'room/h.ts false'],
    ...['room/later.ts false', 'room/types.ts true'],
  ]);
});

describe('the rooms', () => {
  it('are those of the document, each above those that import it', () => {
    const rooms = new Set(files.map(roomOf).filter((room) => room !== ''));
    expect([...rooms].filter((room) => !table.has(room))).toEqual([]);
    const above = new Set<string>();
    for (const [room, allowed] of table) {
      expect(
        allowed.filter((name) => !above.has(name.split('/')[0] ?? '')),
        `${room} imports rooms below it`,
      ).toEqual([]);
      above.add(room);
    }
  });

  it('import what the document says', () => {
    const wrong = imports.filter(({ from, to, isPackage }) => {
      if (isPackage || entries.includes(from)) return false;
      const [room, other] = [roomOf(from), roomOf(to)];
      if (other === '') return entries.includes(to);
      if (room === other) return false;
      return !(table.get(room) ?? []).some((name) => to.startsWith(`${name}/`));
    });
    expect(wrong.map(show)).toEqual([]);
  });

  it('leave the runtime to engine, and protobuf to onnx and TensorBoard', () => {
    const wrong = imports.filter(({ from, to, isPackage }) => {
      if (!isPackage) return false;
      if (to.startsWith('onnxruntime')) return roomOf(from) !== 'engine';
      if (from.startsWith('reporting/tensorboard/') && to === '@bufbuild/protobuf/wire') return false;
      return /^(@bufbuild\/|onnx-buf)/.test(to) && roomOf(from) !== 'onnx';
    });
    expect(wrong.map(show)).toEqual([]);
  });

  it('know nothing of tests', () => {
    expect(imports.filter(({ to }) => to.startsWith('..')).map(show)).toEqual([]);
  });

  it('import in no circle, except types within one room', () => {
    const next = new Map<string, string[]>();
    for (const { from, to, isPackage, ofTypes } of imports) {
      if (isPackage || (ofTypes && roomOf(from) === roomOf(to))) continue;
      next.set(from, [...(next.get(from) ?? []), to]);
    }
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, before: readonly string[]): void => {
      if (before.includes(path)) circles.push([...before.slice(before.indexOf(path)), path].join(' → '));
      if (done.has(path) || before.includes(path)) return;
      for (const to of next.get(path) ?? []) visit(to, [...before, path]);
      done.add(path);
    };
    for (const path of files) visit(path, []);
    expect(circles).toEqual([]);
  });
});
