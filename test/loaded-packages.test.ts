// Which packages an import or a command loads: what only some uses need is loaded by those, so that a start is quick.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-loaded-'));
});
afterAll(() => rm(folder, { recursive: true }));

const moduleUrl = (source: string): string => `data:text/javascript,${encodeURIComponent(source)}`;

/** How many modules of which packages Node loads, by `import` and by `require`, when it runs with these arguments. */
async function modulesOf(parameters: readonly string[]): Promise<Map<string, number>> {
  const log = join(folder, 'modules');
  await writeFile(log, '');
  const hooks = `import { appendFileSync } from 'node:fs';
    export async function load(url, context, next) {
      appendFileSync(${JSON.stringify(log)}, url + '\\n');
      return next(url, context);
    }`;
  const preload = `import { appendFileSync } from 'node:fs';
    import { createRequire, register } from 'node:module';
    register(${JSON.stringify(moduleUrl(hooks))});
    const { cache } = createRequire(${JSON.stringify(import.meta.url)});
    process.on('exit', () => appendFileSync(${JSON.stringify(log)}, Object.keys(cache).join('\\n')));`;
  await promisify(execFile)(process.execPath, ['--import', moduleUrl(preload), ...parameters], {
    env: { ...process.env, NO_COLOR: '1' },
  }).catch((error) => {
    if (typeof error.code !== 'number') throw error; // else a command that refuses its arguments
  });
  const counts = new Map<string, number>();
  for (const module of (await readFile(log, 'utf8')).split('\n')) {
    const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(module)?.[1];
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

const packagesOf = async (parameters: readonly string[]) => [...(await modulesOf(parameters)).keys()].sort();

/** Runs it as the source of a module. */
const script = (source: string) => ['--input-type=module', '-e', source];
/** ONNX files. */
const always = ['@bufbuild/protobuf', 'onnx-buf'];
/** Of the charts: small modules without a DOM, 13 ms in all. They come with `renderReport`, which returns at once. */
const charts = 'array color format interpolate path scale shape time time-format'
  .split(' ')
  .map((name) => `d3-${name}`);
const node = [...always, ...charts].sort();

describe('an import loads what every use needs', () => {
  // Not the runtimes (onnxruntime-node, onnxruntime-web), the formats of data (csv-parse, hyparquet, fflate, sharp) nor
  // the command line (commander).
  it.each([
    ['cgfac', always],
    ['cgfac/node', node],
    ['cgfac/web', always],
  ])('%s', async (name, expected) => {
    expect(await packagesOf(script(`await import('${name}');`))).toEqual(expected);
  });

  it('and one file of each package of the charts', async () => {
    const modules = await modulesOf(script("await import('cgfac/node');"));
    expect(charts.map((name) => modules.get(name))).toEqual(charts.map(() => 1));
  });

  it('and the rest when it is used', async () => {
    const engine = "const { nodeEngine } = await import('cgfac/node'); await nodeEngine({ worker: false });";
    expect(await packagesOf(script(engine))).toEqual([...node, 'onnxruntime-common', 'onnxruntime-node']);
    const table = join(folder, 'table.csv');
    await writeFile(table, `a,b\n${'1,2\n3,4\n'.repeat(20)}`);
    const data = `const { loadData } = await import('cgfac'); await loadData(${JSON.stringify(`csv:${table}?target=b`)});`;
    expect(await packagesOf(script(data))).toEqual([...always, 'csv-parse'].sort());
  });
});

describe('a command loads what it needs', () => {
  it.each([
    ['--version', []],
    ['--help', []],
    ['trian', []],
    ['train --help', always],
    ['train lenett --data digits', always],
    ['train mlp --data nothing', always],
    ['compare mlp --data digits --optimizers lion', always],
    ['inspect absent.onnx', always],
    ['data digits?train=20&test=5', []],
  ])('%s', async (command, expected) => {
    expect(await packagesOf(['dist/cli/main.js', ...command.split(' ')])).toEqual([...expected, 'commander'].sort());
  });
});
