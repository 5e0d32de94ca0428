// The programs of examples/ are type-checked against the built package, and run; what they print is what they are to show.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ownOperatorFile } from './support/own-operator-file.js';

const run = promisify(execFile);

/** Where examples write files. */
let folder: string;

/** What an example prints. */
async function printed(name: string): Promise<string> {
  const env = { ...process.env, TMPDIR: folder, TEMP: folder };
  const { stdout } = await run(process.execPath, [`dist-examples/${name}.js`], { env });
  return stdout;
}

/** The numbers that a pattern captures, one of each of its matches. */
const numbers = (text: string, pattern: RegExp): number[] =>
  [...text.matchAll(new RegExp(pattern, 'gm'))].map(([, number]) => Number(number));

/** What each example must have found. */
const findings: Readonly<Record<string, (text: string) => void>> = {
  'own-model'(text) {
    expect(text).toContain('block2.excite.weight     4 × 8');
    expect(numbers(text, /test accuracy (\S+)/)[0]).toBeGreaterThan(0.8);
  },
  'own-loss'(text) {
    const [half = 0, most = 0] = numbers(text, /a share of (\S+)/);
    expect(half).toBeCloseTo(0.5, 1);
    expect(Math.abs(most - 0.9)).toBeLessThan(0.05);
    expect(text).toContain('The loss pinball-0.9 has no likelihood to draw targets from');
  },
  'own-metric'(text) {
    const [within = 0, median = 1, root = 0] = ['within', 'medianError', 'rootMeanSquaredError'].map(
      (name) => numbers(text, new RegExp(`^${name} +(\\S+)`))[0],
    );
    expect(within).toBeGreaterThan(0.6);
    expect(median).toBeLessThan(0.5);
    // One target of fifty is wrong by 30: √(30²/50) = 4.2, of which the median knows nothing.
    expect(root).toBeGreaterThan(4);
    expect(numbers(text, /within 0.5 of the target (\S+)/)).toHaveLength(3);
  },
  'own-optimizer'(text) {
    expect(text).toContain('steps with the same loss: 40 of 40');
    expect(numbers(text, /loss (\S+),/)[0]).toBeLessThan(1);
  },
  'own-layer-kind'(text) {
    expect(text).toContain('bank.weight has 28 bank block(s) of 28 × 6');
    const [without = 0, withKind = 1] = numbers(text, /training loss (\S+),/);
    expect(withKind).toBeLessThan(without / 4);
  },
  'own-operator'(text) {
    expect(text).toMatch(/without a definition: .*SwiGlu node 'swiglu'/);
    const [[before = 0], [after = 1]] = [numbers(text, /loss (\S+) at first/), numbers(text, /, (\S+) in the end/)];
    expect(after).toBeLessThan(before / 2);
    expect(numbers(text, /not seen: (\S+)/)[0]).toBeGreaterThan(0.6);
    expect(text).toContain('by its name: Sub, Div, MatMul, MatMul, SwiGlu, MatMul');
  },
  'own-data'(text) {
    expect(text.match(/^[.#]{48}$/gm)).toHaveLength(24);
    expect(numbers(text, /test accuracy (\S+)/)[0]).toBeGreaterThan(0.95);
  },
  table(text) {
    expect(numbers(text, /R² (\S+)/)[0]).toBeGreaterThan(0.9);
    const [near = 0, far = 0, large = 0] = numbers(text, /^\d+, \d+, \d+, \d+: (\d+)$/);
    expect(near).toBeGreaterThan(far);
    expect(large).toBeGreaterThan(near);
  },
  'fine-tune'(text) {
    const [scratch = 1, all = 0, adapters = 0, head = 0] = numbers(text, /numbers, test accuracy (\S+)/);
    for (const tuned of [all, adapters, head]) expect(tuned).toBeGreaterThan(scratch);
    const [, whole = 0, few = 0, fewest = 0] = numbers(text, /: (\d+) numbers/);
    expect(fewest).toBe(84 * 2 + 2);
    expect(few).toBeLessThan(whole / 10);
  },
  'predict-and-evaluate'(text) {
    const [accuracy = 0, mistakes = 0] = ['accuracy', 'mistakes'].map(
      (name) => numbers(text, new RegExp(`^${name} +(\\S+)`))[0],
    );
    expect(accuracy).toBeGreaterThan(0.85);
    expect(accuracy + mistakes).toBeCloseTo(1, 3);
    const counts = (text.match(/^( +\d+){10}$/gm) ?? []).map((line) => line.trim().split(/ +/).map(Number));
    expect(counts).toHaveLength(10);
    expect(counts.flat().reduce((sum, count) => sum + count, 0)).toBe(300);
    expect(counts.reduce((sum, row, i) => sum + (row[i] ?? 0), 0) / 300).toBeCloseTo(accuracy, 3);
    expect(numbers(text, /picture \d: a (\d)/)).toHaveLength(5);
    expect(text).toContain('sums [ [ 2, 3 ], [ 5, 6 ], [ 8, 9 ] ] products [ [ 1, 2 ], [ 6, 8 ], [ 15, 18 ] ]');
  },
  adversarial(text) {
    const [whole = 0, , attacked = 1] = numbers(text, /accuracy (\S+),/);
    const [same, , noisy = 0] = numbers(text, /at random (\S+)/);
    expect(same).toBe(whole);
    expect(whole).toBeGreaterThan(0.8);
    expect(noisy).toBeGreaterThan(0.7);
    expect(attacked).toBeLessThan(0.2);
    const [before, after] = numbers(text, /taken for (\d)/);
    expect(before).toBe(3);
    expect(after).not.toBe(3);
  },
  'schedules-and-partition'(text) {
    expect(text).toContain('rate at steps 0, 5, 20, 39: 0.00050, 0.00300, ');
    const [adamw = 0, parts = 0] = numbers(text, /test accuracy (\S+)/);
    expect(Math.min(adamw, parts)).toBeGreaterThan(0.7);
  },
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-examples-'));
  const { stdout } = await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'examples']).catch(
    (error: { readonly stdout: string }) => error,
  );
  expect(stdout, 'what the compiler says of the examples').toBe('');
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

describe.concurrent('the example', () => {
  it.each(Object.entries(findings))('%s shows what it says', { timeout: 120_000 }, async (name, check) => {
    check(await printed(name));
  });
});

it('all are here, short, without casts, and in the table of examples/README.md', async () => {
  const files = (await readdir('examples')).filter((file) => file.endsWith('.ts'));
  expect(files.map((file) => file.slice(0, -3)).sort()).toEqual(Object.keys(findings).sort());
  const document = await readFile('examples/README.md', 'utf8');
  for (const file of files) {
    expect(document).toContain(`[${file}](${file})`);
    const text = await readFile(`examples/${file}`, 'utf8');
    const lines = text.split('\n');
    expect(lines.length, file).toBeLessThanOrEqual(60);
    expect(lines[0], file).toMatch(/^\/\/ /);
    expect(lines[1], file).toBe(`// npm run examples && node dist-examples/${file.slice(0, -3)}.js`);
    const code = text.replace(/\/\*\*.*\*\/|\/\/.*$|'[^']*'|`[^`]*`/gm, '');
    expect(code, file).not.toMatch(/\bas (?!const\b)|\bany\b|[\w)\]]!/);
  }
});

it('the file with an operator of its own is what the test makes', async () => {
  expect(Buffer.compare(await readFile('examples/data/swiglu.onnx'), ownOperatorFile())).toBe(0);
});
