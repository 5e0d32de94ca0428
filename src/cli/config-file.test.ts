import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Command } from 'commander';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FileError, OptionError } from '../errors.js';
import { command as compareCommand } from './compare.js';
import { configSchema } from './config-file.js';
import { listSchema, schemaOf } from './flag-schema.js';
import { command as trainCommand } from './train.js';

const commands = { train: trainCommand, compare: compareCommand };

/** The model and the flags that a command would run with. */
async function parsed(make: () => Command, config: unknown, ...words: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'config-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'c.json');
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
  let found: { model: string; flags: Record<string, unknown> } | undefined;
  const command = make()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .action((model: string, flags: Record<string, unknown>) => {
      found = { model, flags };
    });
  await command.parseAsync(['--config', path, ...words], { from: 'user' });
  if (!found) throw new Error('the command did not run');
  return found;
}

/** What each reader of a flag makes of the words on the command line. */
async function typed(make: () => Command, ...words: readonly string[]) {
  return (await parsed(make, {}, ...words)).flags;
}

describe('a config file', () => {
  it('says what flags say', async () => {
    const words =
      'lenet --data digits?train=9 --optimizer adam --steps 7 --batch-size 3 --learning-rate cosine:0.1:7 --damping 2 --rank 4 --diagnostics --metrics accuracy,log-loss --target accuracy=0.9 --no-normalize --augment flip,crop=2 --seed 5 --freeze a.* --freeze b.* --json --out x';
    const config = {
      $schema: './train.schema.json',
      ...{
        model: 'lenet',
        data: 'digits?train=9',
        optimizer: 'adam',
        steps: 7,
        'batch-size': 3,
        'learning-rate': 'cosine:0.1:7',
      },
      ...{ damping: 2, rank: 4, diagnostics: true, metrics: ['accuracy', 'log-loss'], target: 'accuracy=0.9' },
      ...{ normalize: false, augment: ['flip', 'crop=2'], seed: 5, freeze: ['a.*', 'b.*'], json: true, out: 'x' },
    };
    const same = (flags: Record<string, unknown>) =>
      JSON.stringify({ ...flags, config: '' }, Object.keys(flags).sort());
    const { model, flags } = await parsed(trainCommand, config);
    expect(model).toBe('lenet');
    expect(same(flags)).toBe(same(await typed(trainCommand, ...words.split(' '))));
    expect(flags.learningRate).toBeTypeOf('function');
    expect((await parsed(compareCommand, { optimizers: ['cgfac', 'adam:learning-rate=0.1'] })).flags.optimizers).toBe(
      'cgfac,adam:learning-rate=0.1',
    );
    expect((await parsed(trainCommand, { freeze: 'a.*', overwrite: false })).flags).toMatchObject({ freeze: ['a.*'] });
  });

  it.each(Object.entries(commands))('of %s gives flags that are repeated a list', (_, make) => {
    const repeated = make().options.filter(({ description }) => /\brepeatable\b/.test(description));
    expect(repeated.map((flag) => flag.name())).toEqual(expect.arrayContaining(['train', 'freeze', 'group']));
    for (const flag of repeated) expect(schemaOf(flag), flag.name()).toEqual(listSchema());
  });

  it('is overridden by the command line, also by what a flag cannot go with', async () => {
    const config = { model: 'lenet', epochs: 3, seed: 5, freeze: ['a'], normalize: true };
    const { model, flags } = await parsed(
      ...[trainCommand, config, 'mlp', '--steps', '2', '--seed', '6', '--freeze', 'b', '--no-normalize'],
    );
    expect(model).toBe('mlp');
    expect(flags).toMatchObject({ steps: 2, seed: 6, freeze: ['b'], normalize: false, data: 'digits' });
    expect(flags).not.toHaveProperty('epochs');
  });

  it.each<[string, unknown, RegExp]>([
    [
      'a key that is unknown',
      { batchsize: 3 },
      /c\.json: unknown key 'batchsize' \(did you mean 'batch-size'\?\); cgfac train has/,
    ],
    ['a key as in the library', { batchSize: 3 }, /did you mean 'batch-size'/],
    ['a flag for the command line', { debug: true }, /unknown key 'debug'.*--debug is for the command line/],
    ['a number of the wrong kind', { steps: 2.5 }, /c\.json: steps: --steps is 2\.5; it must be a whole number/],
    ['a text for a number', { steps: '7' }, /c\.json: steps is '7'; it must be a whole number$/],
    ['a number for a switch', { json: 1 }, /c\.json: json is 1; it must be true or false/],
    ['null', { seed: null }, /c\.json: seed is null; it must be a whole number/],
    ['a list of numbers', { freeze: [1] }, /c\.json: freeze is an array of 1; it must be a text or a list of texts/],
    ['a model that is no name', { model: 5 }, /c\.json: model is 5; it must be a text/],
    ['two flags that cannot go together', { steps: 5, epochs: 2 }, /'steps' and 'epochs' cannot be given together/],
    ['a loss that is unknown', { loss: 'crossentropy' }, /c\.json: loss: .*crossentropy/],
    ['a list', [], /c\.json' holds an array of 0; it must hold an object/],
    ['no JSON', '{', /c\.json' is not JSON: /],
  ])('is refused for %s', async (_, config, message) => {
    await expect(parsed(trainCommand, config)).rejects.toThrow(OptionError);
    await expect(parsed(trainCommand, config)).rejects.toThrow(message);
  });

  it('must be there', async () => {
    await expect(typed(trainCommand, '--config', 'missing.json')).rejects.toThrow(FileError);
  });
});

describe.each(Object.entries(commands))('the schema of %s', (name, make) => {
  const published: unknown = JSON.parse(readFileSync(`schemas/${name}.schema.json`, 'utf8'));
  // Ajv checks the schema itself, by draft 2020-12.
  const validate = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true }).compile(
    published as object,
  );

  it('is that of the flags (else: npm run schemas)', () => {
    expect(published).toEqual(JSON.parse(JSON.stringify(configSchema(make()))));
  });

  it('takes what the command takes, and refuses what it refuses', async () => {
    const cases = [
      ...[
        {},
        { steps: 3 },
        { epochs: 0.5, $schema: 'x' },
        { freeze: 'a' },
        { freeze: ['a', 'b'] },
        { 'learning-rate': 0.1 },
      ],
      ...[{ 'learning-rate': 'cosine:0.1:7' }, { normalize: false }, { metrics: ['accuracy'] }, { model: 'mlp' }],
      ...[{ steps: 0 }, { steps: 1.5 }, { epochs: 0 }, { steps: 1, epochs: 1 }, { freeze: [] }, { freeze: [1] }],
      ...[{ normalize: 'no' }, { unknown: 1 }, { debug: true }, { model: 1 }, { seed: -1 }, { json: null }],
    ];
    for (const config of cases) {
      const isTaken = await parsed(make, config).then(
        () => true,
        () => false,
      );
      expect(validate(config), JSON.stringify(config)).toBe(isTaken);
    }
  });
});
