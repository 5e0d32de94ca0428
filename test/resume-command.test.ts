// `cgfac train --resume` as a user meets it: what goes on, what is refused and in which words, and that nothing is lost.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processStart } from '../src/files/process-start.js';
import { cgfac } from './support/command.js';

let folder: string;
let table: string;
const rows = Array.from({ length: 80 }, (_, i) => `${(i * 7) % 11},${(i * 5) % 13},${i % 2 ? 'x' : 'y'}`);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-resume-command-'));
  table = join(folder, 'table.csv');
  await writeFile(table, ['a,b,kind', ...rows].join('\n'));
});
afterAll(() => rm(folder, { recursive: true }));

const usual = ['train', 'mlp:hidden=6', '--optimizer', 'adam', '--batch-size', '20', '--threads', '1'];
const start = (name: string, ...flags: string[]) =>
  cgfac([...usual, '--data', `csv:${table}?label=kind`, '--out', join(folder, name), ...flags]);
const resume = (name: string, ...flags: string[]) => cgfac(['train', '--resume', join(folder, name), ...flags]);

async function left(name: string) {
  const metrics = await readFile(join(folder, name, 'metrics.jsonl'), 'utf8');
  const model = await readFile(join(folder, name, 'model.onnx'), 'base64');
  return { model, metrics: metrics.replace(/"seconds":[^,]+,/g, '') };
}

/** What a resumption is told in one line, having changed no file. */
async function refused(name: string, ...flags: string[]): Promise<string> {
  const path = join(folder, name);
  const files = async () => {
    const names = (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    return Promise.all(
      names.map(async (each) => [each.name, await readFile(join(each.parentPath, each.name), 'base64')]),
    );
  };
  const before = existsSync(path) ? await files() : [];
  const { code, stdout, stderr } = await resume(name, ...flags);
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(existsSync(path) ? await files() : []).toEqual(before);
  expect(
    stderr
      .trimEnd()
      .split('\n')
      .filter((line) => !line.startsWith('Warning: ')),
  ).toHaveLength(1);
  return stderr;
}

describe('a finished run', () => {
  beforeAll(async () => {
    expect((await start('done', '--steps', '30', '--checkpoint-every', '10')).stderr).toContain('30/30');
    expect((await start('longer', '--steps', '45', '--evaluate-every', '5')).code).toBe(0);
  });

  it('has a configuration and its newest checkpoints', async () => {
    const config = JSON.parse(await readFile(join(folder, 'done', 'config.json'), 'utf8'));
    expect(config).toMatchObject({
      format: 1,
      model: 'mlp:hidden=6',
      folder: process.cwd(),
      threads: 1,
      options: { steps: '30', optimizer: 'adam', 'checkpoint-every': '10', threads: '1' },
      effective: { steps: 30, batchSize: 18, seed: 0, loss: 'softmax-cross-entropy', examples: { train: 72, test: 8 } },
      versions: { cgfac: expect.any(String), onnxruntime: expect.any(String), node: process.version },
      fingerprints: { model: expect.stringMatching(/^[0-9a-f]{64}$/), data: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(config.command).toMatch(/^cgfac train mlp:hidden=6 --optimizer=adam .*--steps=30 --checkpoint-every=10$/);
    expect((await readdir(join(folder, 'done', 'checkpoints'))).at(-1)).toBe('step-0000000029.safetensors');
  });

  it('is refused, in one line each, if anything is not as it was', async () => {
    expect(await refused('done')).toMatch(
      /^cgfac: the run in '.*done' is finished \(30 steps\): raise --steps or --epochs to go on\n$/,
    );
    expect(await refused('done', '--steps', '20')).toMatch(/has 30 steps, and 20 are fewer: raise them/);
    expect(await refused('done', '--steps', '40', '--batch-size', '10', '--seed', '4')).toMatch(
      /cannot go on as it began: .*options\.batch-size was "20" and is "10"; options\.seed was not given and is "4"; go on all the same by --force/,
    );
    expect(await refused('done', '--steps', '40', '--threads', '2')).toMatch(/: threads was 1 and is 2; go on/);
    expect(await refused('done', '--steps', '40', '--out', 'x')).toMatch(
      /'--resume <dir>' cannot be used with option '--out <dir>'/,
    );
  });

  it('is refused if the data or the version are others', async () => {
    await writeFile(table, ['a,b,kind', ...rows.with(3, '0,0,y')].join('\n'));
    expect(await refused('done', '--steps', '40')).toMatch(/cannot go on as it began: data was "\w+" and is "\w+"; /);
    await writeFile(table, ['a,b,kind', ...rows].join('\n'));
    const path = join(folder, 'done', 'config.json');
    const config = await readFile(path, 'utf8');
    await writeFile(path, config.replace(/"cgfac": "[^"]+"/, '"cgfac": "0.0.1"'));
    expect(await refused('done', '--steps', '40')).toMatch(/versions\.cgfac was "0\.0\.1" and is "/);
    await writeFile(path, config);
  });

  it('goes on if its steps are raised, as a longer run would have, also from data that were moved', async () => {
    const moved = join(folder, 'moved.csv');
    await rename(table, moved);
    expect(await refused('done', '--steps', '45')).toMatch(/table\.csv: .*there is no such file/);
    // The longer run is evaluated at other steps: that is an option, too.
    const flags = ['--steps', '45', '--data', `csv:${moved}?label=kind`, '--evaluate-every', '5', '--force'];
    const { code, stderr } = await resume('done', ...flags);
    await rename(moved, table);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Warning: the run goes on as another one: options\.evaluate-every was not given and is "5"/);
    expect(stderr).toMatch(/Going on after step 29, from .*step-0000000029\.safetensors\./);
    const [found, whole] = [await left('done'), await left('longer')];
    expect(found.model).toBe(whole.model);
    expect(found.metrics.split('\n')).toHaveLength(46);
    expect(found.metrics.split('\n').slice(29)).toEqual(whole.metrics.split('\n').slice(29));
  });
});

describe('a stopped run', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('goes on after %s by the command that it is told', async (signal) => {
    const name = `stopped-${signal}`;
    const flags = ['--epochs', '100', '--optimizer', 'cgfac'];
    const stopped = await cgfac(
      [...usual, '--data', `csv:${table}?label=kind`, '--out', join(folder, name), ...flags],
      /cgfac: step \d/,
      signal,
    );
    if (stopped.code === 0) return; // it was faster than the first line of progress
    expect(stopped.stdout).toMatch(new RegExp(`\\nGo on with it by: cgfac train --resume ${join(folder, name)}\\n$`));
    // Another run does not replace it without being told so.
    const other = await start(name, '--steps', '1');
    expect(other.stderr).toMatch(
      /holds a run already .*: go on with it by cgfac train --resume \S+, choose another --out/,
    );
  });

  it('takes the newest whole checkpoint, names the others, and says when there is none', async () => {
    await start('torn', '--steps', '30');
    const whole = await left('torn');
    const checkpoints = join(folder, 'torn', 'checkpoints');
    const good = join(checkpoints, 'step-0000000029.safetensors');
    await writeFile(join(checkpoints, 'step-0000000030.safetensors'), 'of another program');
    const manifest = join(folder, 'torn', 'run.json');
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('finished', 'running'));
    await truncate(join(folder, 'torn', 'model.onnx'), 100);
    const { code, stderr } = await resume('torn');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Warning: '.*step-0000000030\.safetensors' is no whole safetensors file: .*; it is skipped/);
    expect(await left('torn')).toEqual(whole);
    await truncate(good, 1000);
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('finished', 'running'));
    expect(await refused('torn')).toMatch(/none of the checkpoints in '.*' is whole: begin the run anew\n$/);
    await rm(checkpoints, { recursive: true });
    expect(await refused('torn')).toMatch(
      /has no checkpoint to go on from: it was begun with --no-checkpoints, or they were/,
    );
  });

  it('begins anew if it was killed before its first checkpoint', async () => {
    await start('early', '--steps', '5');
    const whole = await left('early');
    const path = join(folder, 'early');
    for (const name of ['checkpoints', 'model.onnx', 'report.html']) await rm(join(path, name), { recursive: true });
    const manifest = join(path, 'run.json');
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('finished', 'running'));
    const { stderr } = await resume('early');
    expect(stderr).toContain('The run was killed before its first checkpoint: it begins anew.');
    expect(await left('early')).toEqual(whole);
  });

  it('says which lines its metrics lack', async () => {
    await start('gap', '--steps', '10');
    const path = join(folder, 'gap', 'metrics.jsonl');
    const lines = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, `${lines.slice(0, 4).join('\n')}\n${lines[4]?.slice(0, 9)}`);
    const { code, stderr } = await resume('gap', '--steps', '12');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Warning: .*metrics\.jsonl has 4 of the 9 steps before: the others are lost/);
    const steps = (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).step);
    expect(steps).toEqual([1, 2, 3, 4, 10, 11, 12]);
  });
});

it('is refused while the run is in progress, and goes on if the lock is of a process that has ended', async () => {
  await start('locked', '--steps', '5');
  const lock = join(folder, 'locked', '.cgfac-lock');
  const holder = { process: process.pid, host: hostname(), started: await processStart(process.pid) };
  await writeFile(lock, JSON.stringify(holder));
  expect(await refused('locked', '--steps', '6')).toMatch(
    new RegExp(
      `the run in '.*locked' is in progress: it is written by process ${process.pid} \\(if that is not cgfac, delete`,
    ),
  );
  await writeFile(lock, JSON.stringify({ ...holder, started: 'before the machine was restarted' }));
  expect((await resume('locked', '--steps', '6')).code).toBe(0);
  expect(existsSync(lock)).toBe(false);
});

it.each<[string, (path: string) => Promise<unknown>, RegExp]>([
  [
    'no folder',
    async () => undefined,
    /--resume '.*': it does not exist; give the --out folder of a run of cgfac train/,
  ],
  ['an empty folder', mkdir, /it has no config\.json; give the --out folder/],
  ['a file', (path) => writeFile(path, ''), /it is a file; give/],
  [
    'a folder of another program',
    async (path) => {
      await mkdir(path);
      await writeFile(join(path, 'config.json'), '{"name":"mine"}');
    },
    /config\.json' is no configuration of cgfac train/,
  ],
  [
    'a run of a later version',
    async (path) => {
      await mkdir(path);
      await writeFile(join(path, 'config.json'), '{"format":2}');
    },
    /was written by a newer cgfac: update cgfac/,
  ],
])('refuses %s', async (name, make, message) => {
  const path = join(folder, name);
  await make(path);
  const { code, stderr } = await resume(name);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(existsSync(path) ? await readdir(path).catch(() => []) : []).not.toContain('.cgfac-lock');
});

it('writes no checkpoints if it is told so, and refuses flags without effect', async () => {
  expect((await start('none', '--steps', '3', '--no-checkpoints')).code).toBe(0);
  expect(existsSync(join(folder, 'none', 'checkpoints'))).toBe(false);
  expect(await refused('none', '--steps', '4')).toMatch(/has no checkpoint to go on from/);
  expect((await start('x', '--force')).stderr).toMatch(/--force has no effect without --resume/);
  expect((await start('x', '--no-checkpoints', '--keep', '2')).stderr).toMatch(
    /'--keep <n>' cannot be used with option '--no-checkpoints'/,
  );
  expect((await start('x', '--checkpoint-every', 'often')).stderr).toMatch(
    /--checkpoint-every is 'often'; write a number/,
  );
});

it('replaces a run with its checkpoints if it is told so', async () => {
  await start('replaced', '--steps', '9', '--checkpoint-every', '2', '--keep', '4');
  expect((await start('replaced', '--steps', '3', '--overwrite')).code).toBe(0);
  expect(await readdir(join(folder, 'replaced', 'checkpoints'))).toEqual(['step-0000000002.safetensors']);
});
