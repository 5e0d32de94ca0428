// Every @example of the public parts is type-checked and run against the built package, in one process, on small data.
// An example is a module without its imports: names of the package are imported, and `model`, `data` and the files that
// examples load are there already. Words that name large data or long runs are replaced by small ones.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import * as node from '../src/node.js';
import * as web from '../src/web.js';

const run = promisify(execFile);

interface Example {
  /** Of what it is an example. */
  readonly name: string;
  readonly file: string;
  readonly code: string;
}

/** Names that the entries export: values and types. */
async function publicNames(): Promise<ReadonlySet<string>> {
  const entries = await Promise.all(['index', 'node', 'web'].map((name) => readFile(`src/${name}.ts`, 'utf8')));
  const lists = [...entries.join('\n').matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, list = '']) =>
    list.split(','),
  );
  return new Set(
    lists
      .map((each) =>
        each
          .trim()
          .replace(/^type /, '')
          .replace(/^\w+ as /, ''),
      )
      .filter(Boolean),
  );
}

/** What an entry calls by another name than the file that has it. */
async function renamings(): Promise<ReadonlyMap<string, string>> {
  const index = await readFile('src/index.ts', 'utf8');
  return new Map([...index.matchAll(/(\w+) as (\w+)/g)].map(([, from = '', to = '']) => [from, to]));
}

async function examplesOf(names: ReadonlySet<string>): Promise<readonly Example[]> {
  const renamed = await renamings();
  const found: Example[] = [];
  for (const file of (await readdir('src', { recursive: true })).sort()) {
    if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
    const source = await readFile(join('src', file), 'utf8');
    const declarations =
      /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export (?:async )?(?:function|const|class|interface|type) (\w+)/g;
    for (const [, comment = '', declared = ''] of source.matchAll(declarations)) {
      const name = renamed.get(declared) ?? declared;
      if (!names.has(name)) continue;
      for (const example of comment.split('@example').slice(1)) {
        const code =
          example
            .split(/\n\s*\* @/)[0]
            ?.replace(/^\s*\* ?/gm, '')
            .trim() ?? '';
        found.push({ name, file, code });
      }
    }
  }
  return found;
}

const small: readonly (readonly [RegExp, string])[] = [
  [/'(?:digits(?:\?[^']*)?|mnist:[^']*)'/g, "'digits?train=120&test=40'"],
  [/\b(steps|epochs): \d+/g, 'steps: 2'],
  [/\b(batchSize): \d+/g, 'batchSize: 40'],
  [/\b(trainSize|testSize): \d+/g, '$1: 20'],
  [/autoencoder\(\{ seed: 1 \}\)/g, 'autoencoder({ sizes: [784, 8, 2], seed: 1 })'],
];

/** What an example may take for given. */
const given: Readonly<Record<string, string>> = {
  model: 'const model = mlp({ sizes: [784, 8, 10], seed: 1 });',
  data: "const data = await loadData('digits');",
  regressor: 'const regressor = mlp({ sizes: [3, 8, 1], seed: 1 });',
  numbers: `const column = (size: number, scale: number) => Float32Array.from({ length: size }, (_, i) => scale * Math.sin(i * i));
const table = dataset({
  name: 'numbers',
  size: 40,
  inputs: { dtype: 'float32', shape: [3], data: column(120, 1) },
  targets: { dtype: 'float32', shape: [1], data: column(40, 5) },
});
const numbers = { train: table, test: table };`,
};

function moduleOf({ code }: Example, names: ReadonlySet<string>): string {
  const declares = (name: string, source: string) =>
    new RegExp(`(?:const|let|function|class|interface)\\s+(?:${name}\\b|[{[][^=]*\\b${name}\\b)`).test(source);
  const uses = (name: string, source: string) => new RegExp(`(?<![.'\\w-])${name}\\b(?!\\s*:(?!:))`).test(source);
  const before = Object.entries(given).flatMap(([name, line]) =>
    uses(name, code) && !declares(name, code) ? [line] : [],
  );
  const body = [...before, code].join('\n');
  const imported = [...names].filter((name) => uses(name, body) && !declares(name, body));
  const from = (entry: string, some: readonly string[]) =>
    some.length > 0 ? [`import { ${some.join(', ')} } from '${entry}';`] : [];
  const text = [
    ...from(
      'cgfac/node',
      imported.filter((name) => !isOnlyWeb(name)),
    ),
    ...from('cgfac/web', imported.filter(isOnlyWeb)),
    body,
    'export {};',
  ].join('\n');
  return small.reduce((result, [pattern, replacement]) => result.replaceAll(pattern, replacement), text);
}

const isOnlyWeb = (name: string): boolean => name in web && !(name in node);

/** The files that examples load, made where they run. */
const files = `import { charTransformer, lenet, mlp, saveModel } from 'cgfac/node';
await saveModel(mlp({ sizes: [16, 16, 3], seed: 1 }), 'encoder.onnx');
await saveModel(lenet({ input: [3, 12, 12], seed: 1 }), 'imagenet.onnx');
await saveModel(lenet({ input: [3, 12, 12], seed: 1 }), 'photos.onnx');
await saveModel(charTransformer({ width: 16, layers: 1, heads: 2, context: 8, seed: 1 }), 'gpt.onnx');
`;

let folder: string;
beforeAll(async () => {
  // Inside the package, where \`import 'cgfac'\` finds the package itself.
  await mkdir('runs', { recursive: true });
  folder = await mkdtemp(join('runs', 'examples-'));
  return () => rm(folder, { recursive: true });
});

it('every public function and class has an example', async () => {
  const names = new Set((await examplesOf(await publicNames())).map(({ name }) => name));
  const isError = (value: unknown) => typeof value === 'function' && value.prototype instanceof Error;
  const without = Object.entries({ ...node, ...web }).flatMap(([name, value]) =>
    typeof value === 'function' && !isError(value) && !names.has(name) ? [name] : [],
  );
  expect(without).toEqual([]);
});

it('the examples compile and run', async () => {
  const names = await publicNames();
  const examples = await examplesOf(names);
  expect(examples.length).toBeGreaterThan(20);
  const modules = new Map(examples.map((example, i) => [`${i}-${example.name}`, example] as const));
  for (const [name, example] of modules) await writeFile(join(folder, `${name}.mts`), moduleOf(example, names));
  await writeFile(join(folder, 'files.mjs'), files);
  const compilerOptions = { target: 'es2022', module: 'nodenext', strict: true, types: ['node'], skipLibCheck: true };
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: [...modules.keys()].map((name) => `${name}.mts`) }),
  );
  const compiled = await run('npx', ['tsc', '-p', folder]).catch((error: { stdout: string }) => error);
  expect(compiled.stdout).toBe('');
  const main = `process.chdir(${JSON.stringify(folder)});
    await import('./files.mjs');
    const failures = [];
    for (const name of ${JSON.stringify([...modules.keys()])}) {
      await import('./' + name + '.mjs').catch((error) => failures.push(name + ': ' + error.message));
    }
    if (failures.length > 0) console.log('\\nfailed:\\n' + failures.join('\\n'));
    process.exit(failures.length);`;
  await writeFile(join(folder, 'main.mjs'), main.replace(JSON.stringify(folder), 'import.meta.dirname'));
  const { stdout } = await run(process.execPath, [join(folder, 'main.mjs')]).catch(
    (error: { stdout: string }) => error,
  );
  expect(stdout).not.toMatch(/\nfailed:/);
  expect(stdout).not.toBe('');
}, 120_000);
