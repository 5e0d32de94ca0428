// The package as it is published: packed from a clean copy of the sources, installed into an empty TypeScript project
// beside its declared dependencies only, type-checked and run there, by import and by require.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, normalize, posix } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = new URL('../', import.meta.url).pathname;

let folder: string;
/** Where the packed files lie. */
let installed: string;
/** Their paths in the package. */
let files: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-package-'));
  const clone = join(folder, 'clone');
  const ignored = await ignoredNames();
  await cp(root, clone, { recursive: true, filter: (path) => path === root || !ignored.has(basename(path)) });
  await symlink(join(root, 'node_modules'), join(clone, 'node_modules'));
  await run('npm', ['pack', '--pack-destination', folder], { cwd: clone, env: shellEnvironment() });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  installed = join(folder, 'project', 'node_modules', 'cgfac');
  await mkdir(installed, { recursive: true });
  await run('tar', ['xzf', join(folder, tarball ?? 'no tarball'), '-C', installed, '--strip-components=1']);
  const entries = await readdir(installed, { recursive: true, withFileTypes: true });
  const inPackage = (parent: string, name: string) => join(parent, name).slice(installed.length + 1);
  files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => inPackage(parentPath, name));
}, 180_000);
afterAll(() => rm(folder, { recursive: true }));

/** What a clean clone lacks: the names that `.gitignore` lists, and git's own. */
async function ignoredNames(): Promise<Set<string>> {
  const lines = (await readFile(join(root, '.gitignore'), 'utf8')).split('\n');
  return new Set(['.git', ...lines.map((line) => line.replace(/\/$/, ''))]);
}

/** Without the settings that an npm which runs the tests hands down. */
const shellEnvironment = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));

const text = (file: string) => readFile(join(installed, file), 'utf8');
const withEnding = (ending: string) => files.filter((file) => file.endsWith(ending));

it('holds what its manifest names, and nothing that only tests use', async () => {
  const { exports, bin } = JSON.parse(await text('package.json'));
  const named = [
    bin.cgfac,
    ...Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.values(Object(entry)))),
  ];
  expect(named.length).toBeGreaterThan(6);
  for (const path of named.map((one) => normalize(String(one)))) {
    const [folder, isPattern] = [path.replace(/\*$/, ''), path.endsWith('*')];
    if (isPattern) expect(files.some((file) => file.startsWith(folder))).toBe(true);
    else expect(files).toContain(path);
  }
  for (const path of ['README.md', 'LICENSE', 'CHANGELOG.md', 'dist/engine/node-worker.js']) {
    expect(files).toContain(path);
  }
  expect(files.filter((file) => /\.test\.|(^|\/)testing\/|^src\//.test(file))).toEqual([]);
});

it('has no source map whose sources it lacks', async () => {
  for (const script of withEnding('.js')) {
    const map = /\/\/# sourceMappingURL=(\S+)/.exec(await text(script))?.[1];
    if (map !== undefined) expect(files, script).toContain(posix.join(dirname(script), map));
  }
  for (const map of withEnding('.map')) {
    const { sources } = JSON.parse(await text(map)) as { sources: string[] };
    for (const source of sources) expect(files, map).toContain(posix.join(dirname(map), source));
  }
});

it('has what its documents link to', async () => {
  const links: string[] = [];
  for (const document of withEnding('.md')) {
    for (const [, target = ''] of (await text(document)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const file = posix.join(dirname(document), target.replace(/#.*/, ''));
      expect(files, `${document} links to ${target}`).toContain(file);
      links.push(file);
    }
  }
  expect(links).toContain('docs/report.png');
});

/** A program that trains by each entry point and prints what it got; the two kinds of modules differ in their imports. */
const program = (imports: readonly string[]): string => `${imports.join('\n')}

async function main(): Promise<void> {
  const model: core.Model = core.mlp({ sizes: [4, 3, 2], seed: 1 });
  const set = (name: string, size: number): core.Dataset =>
    core.dataset({
      name,
      size,
      inputs: { dtype: 'float32', shape: [4], data: Float32Array.from({ length: 4 * size }, (_, i) => Math.sin(i * i)) },
      targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: size }, (_, i) => i % 2) },
      classes: ['even', 'odd'],
    });
  const data: core.DataSplits = { train: set('train', 8), test: set('test', 4) };
  const options = { data, batchSize: 4, steps: 2, seed: 1 } as const;
  for (const engine of [await node.nodeEngine({ threads: 1 }), await web.webEngine({ provider: 'wasm', threads: 1 })]) {
    const { record, model: trained }: core.TrainingResult = await core.train(model, {
      ...options,
      engine,
      optimizer: core.cgfac({ factors: core.sketches({ rank: 4 }) }),
    });
    const { output } = await web.predict(trained, [[1, 2, 3, 4]], { engine });
    const { values } = await node.evaluate(trained, data.test, { engine });
    console.log(engine.name, record.steps.length, values.loss === record.test.loss, output?.dims.join());
    await engine.close();
  }
  const trained = await node.train(model, { ...options, optimizer: node.adam(), threads: 1 });
  console.log(trained.record.name, trained.record.steps.length);
  try {
    await node.train(model, { ...options, optimizer: node.sgd({ learningRate: -1 }) });
  } catch (error) {
    console.log(error instanceof core.OptionError);
  }
}

main();
`;

const names = { core: 'cgfac', node: 'cgfac/node', web: 'cgfac/web' };
const printed = 'node-cpu 2 true 1,2\nwasm 2 true 1,2\nadam 2\ntrue\n';

it('type-checks and runs in an empty strict project, by import and by require', async () => {
  const project = join(folder, 'project');
  const { dependencies, peerDependencies } = JSON.parse(await text('package.json'));
  for (const name of Object.keys({ ...dependencies, ...peerDependencies })) {
    const target = join(project, 'node_modules', name);
    await mkdir(dirname(target), { recursive: true });
    await symlink(join(root, 'node_modules', name), target);
  }
  const write = (name: string, content: string | object) =>
    writeFile(join(project, name), typeof content === 'string' ? content : JSON.stringify(content));
  await write('package.json', { name: 'empty', private: true });
  const compilerOptions = { strict: true, target: 'es2022', module: 'nodenext', skipLibCheck: false, types: [] };
  const files = ['by-import.mts', 'by-require.cts'];
  await write('tsconfig.json', { compilerOptions: { ...compilerOptions, exactOptionalPropertyTypes: true }, files });
  const lines = (line: (name: string, from: string) => string) =>
    Object.entries(names).map(([name, from]) => line(name, from));
  await write('by-import.mts', program(lines((name, from) => `import * as ${name} from '${from}';`)));
  await write('by-require.cts', program(lines((name, from) => `import ${name} = require('${from}');`)));
  const compiled = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project]).catch(
    (error) => error,
  );
  expect(compiled.stdout).toBe('');
  const outcome = async (script: string) => run(process.execPath, [script], { cwd: project }).catch((error) => error);
  expect(await outcome('by-import.mjs')).toMatchObject({ stdout: printed, stderr: '' });
  // Node 20.19, 22.12 and later ones; those before say that `import()` is to be used.
  const byRequire = await outcome('by-require.cjs');
  if (process.features.require_module) expect(byRequire).toMatchObject({ stdout: printed, stderr: '' });
  else expect(byRequire.stderr).toMatch(/ERR_REQUIRE_ESM/);
}, 120_000);

it('starts its command', async () => {
  const { bin, version } = JSON.parse(await text('package.json'));
  const { stdout } = await run(process.execPath, [join(installed, bin.cgfac), '--version']);
  expect(stdout.trim()).toBe(version);
});

it('has the same names in its three entries, which add engines and what only Node shows', async () => {
  const [core, node, web] = await Promise.all(
    ['index', 'node', 'web'].map(
      (name) => import(join(installed, 'dist', `${name}.js`)) as Promise<Readonly<Record<string, unknown>>>,
    ),
  );
  const added = (entry: Readonly<Record<string, unknown>> = {}) =>
    Object.keys(entry).filter((name) => !(name in (core ?? {})));
  expect(added(node).sort()).toEqual([
    'createProgress',
    'describeRuntime',
    'nodeEngine',
    'renderMarkdownTable',
    'renderReport',
    'renderTable',
    'tensorboard',
  ]);
  expect(added(web)).toEqual(['webEngine']);
  const names = Object.keys(core ?? {});
  for (const name of ['train', 'evaluate', 'predict', 'valueAndGradients', 'jvp', 'vjp', 'loadModel', 'saveModel']) {
    expect(names).toContain(name);
  }
  for (const name of ['Network', 'Builder', 'activations', 'crossEntropy', 'accuracy', 'cgfac', 'loadData']) {
    expect(names).toContain(name);
  }
  for (const name of names) {
    expect(node?.[name], name).toBe(core?.[name]);
    expect(web?.[name], name).toBe(core?.[name]);
  }
});

it('needs nothing of Node where it runs in a browser, until files are read or written', async () => {
  const seen = new Set<string>();
  const found: string[] = [];
  const follow = async (file: string): Promise<void> => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, from = ''] of (await text(file)).matchAll(/^(?:import|export)\b[^;]*?from '([^']+)'/gm)) {
      if (from.startsWith('.')) await follow(posix.join(dirname(file), from));
      else if (from.startsWith('node:')) found.push(`${file}: ${from}`);
    }
  };
  await follow('dist/web.js');
  expect(seen.size).toBeGreaterThan(100);
  expect(found).toEqual([]);
});
