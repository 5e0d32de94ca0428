// The TypeScript of the README and of the documents is type-checked and run against the built package, shortened: the blocks
// of a document are one module, in their order. The commands of the README's ten minutes run as they are.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import * as node from '../src/node.js';
import * as web from '../src/web.js';

const run = promisify(execFile);

const documents = ['README.md', ...markdownIn('docs'), ...markdownIn('docs/guide')];

function markdownIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.md'))
    .map((file) => join(folder, file));
}

/** The blocks of TypeScript of a document, as one module. */
const codeOf = (path: string): string =>
  [...readFileSync(path, 'utf8').matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code]) => code).join('\n');

const withCode = documents.filter((path) => codeOf(path) !== '');

/** Fewer pictures and steps, smaller networks: the lines are those of the document. */
const shortened = (code: string): string =>
  code
    .replaceAll("'digits'", "'digits?train=200&test=100'")
    .replace(/\b(steps|epochs): \d+/g, 'steps: 2')
    .replaceAll('autoencoder({ seed: 1 })', 'autoencoder({ sizes: [784, 16, 4], seed: 1 })');

/** The module of a document, in a folder of its own. */
const moduleOf = (path: string): string => join(basename(path, '.md'), 'example');

let folder: string;
let compiled: string;

beforeAll(async () => {
  // Inside the package, where `import 'cgfac/node'` finds the package itself.
  mkdirSync('runs', { recursive: true });
  folder = mkdtempSync(join('runs', 'documents-'));
  for (const path of withCode) {
    mkdirSync(join(folder, basename(path, '.md')));
    writeFileSync(join(folder, `${moduleOf(path)}.mts`), shortened(codeOf(path)));
  }
  const compilerOptions = { target: 'es2022', module: 'nodenext', strict: true, types: ['node'], skipLibCheck: true };
  const files = withCode.map((path) => `${moduleOf(path)}.mts`);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  compiled = await run('npx', ['tsc', '-p', folder]).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  );
  return () => rmSync(folder, { recursive: true });
}, 120_000);

describe('the code of the documents', () => {
  it('is there, in the README and in each guide', () => {
    expect(withCode).toContain('README.md');
    const ofCommands = ['docs/guide/command-line.md', 'docs/guide/sweep.md'];
    const guides = documents.filter((path) => path.startsWith('docs/guide/') && !ofCommands.includes(path));
    expect(guides.length).toBeGreaterThanOrEqual(5);
    for (const guide of guides) expect(withCode).toContain(guide);
  });

  it('compiles', () => {
    expect(compiled).toBe('');
  });

  it.each(withCode)(
    'of %s runs',
    async (path) => {
      const inside = join(folder, basename(path, '.md'));
      const { stderr } = await run(process.execPath, ['example.mjs'], { cwd: inside }).catch(
        (error: { stderr: string }) => error,
      );
      expect(stderr).toBe('');
      if (path === 'README.md') expect(existsSync(join(inside, 'model.onnx'))).toBe(true);
    },
    120_000,
  );
});

describe('the ten minutes of the README', () => {
  it('work as they are written', async () => {
    const [, section = ''] = /^## Ten minutes\n([\s\S]*?)^## /m.exec(readFileSync('README.md', 'utf8')) ?? [];
    const commands = [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = '']) => block).join('\n');
    expect(commands.match(/npx cgfac (train|predict|evaluate)/g)).toHaveLength(4);
    const inside = join(folder, 'ten-minutes');
    mkdirSync(inside);
    const cgfac = `'${process.execPath}' '${resolve('dist/cli/main.js')}'`;
    const { stdout } = await run('bash', ['-e', '-c', commands.replaceAll('npx cgfac', cgfac)], { cwd: inside });
    expect(stdout).toContain('narrow');
    const kept = readdirSync(join(inside, 'runs', 'leaves'));
    expect(kept).toEqual(expect.arrayContaining(['README.md', 'checkpoints', 'model.onnx', 'report.html']));
    const { state, results } = JSON.parse(readFileSync(join(inside, 'runs', 'leaves', 'run.json'), 'utf8'));
    expect([state, results[0].planned]).toEqual(['finished', 150]); // it went on: 50 passes of 3 steps
  }, 120_000);
});

describe('the documents', () => {
  it('name files that are there', () => {
    const files = ['src', 'test'].flatMap((root) =>
      readdirSync(root, { recursive: true, encoding: 'utf8' }).map((path) => `/${root}/${path}`),
    );
    const missing = documents.flatMap((path) =>
      [...readFileSync(path, 'utf8').matchAll(/`([\w./-]+\.ts)`/g)]
        .map(([, name = '']) => name)
        .filter((name) => !files.some((file) => file.endsWith(`/${name}`)))
        .map((name) => `${path}: ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it('list every public value, and none that is gone (else: npm run docs)', () => {
    const listed = [...readFileSync('docs/api.md', 'utf8').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
    expect([...listed].sort()).toEqual([...new Set([...Object.keys(node), ...Object.keys(web)])].sort());
  });

  it('say each decision in a line that can be read', () => {
    for (const line of readFileSync('docs/decisions.md', 'utf8').split('\n'))
      expect(line.length, line).toBeLessThan(700);
  });
});

it('guides are short', () => {
  for (const path of documents.filter((each) => each.startsWith('docs/guide/'))) {
    expect(readFileSync(path, 'utf8').split('\n').length, path).toBeLessThanOrEqual(100);
  }
});
