// `cgfac sweep` from outside: it trains, goes on where it stopped, and leaves the best settings; bad files get one line.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cgfac } from './support/command.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-sweep-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function written(sweep: unknown): Promise<string> {
  const path = join(folder, 'sweep.json');
  await writeFile(path, typeof sweep === 'string' ? sweep : JSON.stringify(sweep));
  return path;
}

it('trains each setting, and says which is best', async () => {
  const path = await written({
    model: 'mlp',
    train: { data: 'digits?train=120&test=40', validation: 0.25, steps: 4, 'batch-size': 30 },
    vary: { optimizer: ['adam', 'sgd'], 'learning-rate': [0.01, 1e-9] },
    search: 'grid',
  });
  const out = join(folder, 'out');
  const { code, stdout, stderr } = await cgfac(['sweep', path, '--threads', '1', '--out', out]);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^The best of 4 trials by validation loss \(\d\.\d+\): optimizer \w+, learning-rate 0\.01\n/);
  expect(stdout).toMatch(/Train the best:\n {2}npx cgfac train --config .*best\.json\n/);
  const best = JSON.parse(await readFile(join(out, 'best.json'), 'utf8'));
  expect(best).toMatchObject({ model: 'mlp', steps: 4, 'learning-rate': 0.01 });
  expect(await readFile(join(out, 'report.html'), 'utf8')).toContain('Parallel coordinates of 4 trials');
  // Nothing is trained again.
  const again = await cgfac(['sweep', path, '--threads', '1', '--out', out, '--json']);
  expect(again.stderr).toBe('');
  expect(JSON.parse(again.stdout).best.settings).toEqual({ optimizer: best.optimizer, 'learning-rate': 0.01 });
});

it.each([
  ['{"vary": ', /sweep\.json' is no JSON: /],
  [{ vary: { optimizr: ['adam'] } }, /the sweep: unknown key 'optimizr' \(did you mean 'optimizer'\?\)/],
  [{ vary: { optimizer: ['adam', 'adamm'] } }, /unknown optimizer 'adamm' \(did you mean 'adam'\?\)/],
  [{ vary: { steps: [3] }, by: 'f7' }, /unknown by 'f7'; choose one of squaredError, loss/],
  [{ vary: { steps: [3, 'x'] } }, /the sweep: steps is 'x'; it must be /],
  [
    { train: { out: 'x' }, vary: { steps: [3] } },
    /'out' is no option of a trial; leave it out, or give --out to the sweep/,
  ],
  [
    { train: { csv: true }, vary: { steps: [3] } },
    /'csv' is no option of a trial: it has no effect on what the sweep shows/,
  ],
  [{ train: { steps: null }, vary: { optimizer: ['adam'] } }, /the sweep: steps is null; it must be /],
])('refuses %j', async (sweep, message) => {
  const { code, stderr } = await cgfac(['sweep', await written(sweep), '--out', join(folder, 'none')]);
  expect(stderr).toMatch(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(code).toBe(2);
});
