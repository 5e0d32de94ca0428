import { describe, expect, it } from 'vitest';
import { FileError, OptionError } from '../errors.js';
import { onlyInput } from './dataset.js';
import { loadData, parseSpec } from './spec.js';

describe('loadData', () => {
  it('draws digits as the spec says', async () => {
    const { train, test } = await loadData('digits?train=30&test=20&seed=3');
    expect([train.size, test.size]).toEqual([30, 20]);
    const same = await loadData('digits?train=30&test=20', { seed: 3 });
    expect(onlyInput(same.train).data).toEqual(onlyInput(train).data);
  });

  it('turns pictures into an autoencoding task', async () => {
    const { train } = await loadData('digits?train=10&test=10', { task: 'autoencoding' });
    expect(train.targets).toBe(onlyInput(train));
    expect(train.targets.shape).toEqual([784]);
    expect(train.classes).toBeUndefined();
  });

  it.each([
    ['digit', /unknown kind 'digit' \(did you mean 'digits'\?\): expected digits, mnist, .* as in csv:FILE/],
    ['iris.csv', /the kind of data comes first: write csv:iris.csv\?label=COLUMN/],
    ['a/b.npz?targets=y', /write npy:a\/b.npz\[\?inputs=NAME/],
    ['digits?trian=3', /unknown option 'trian' \(did you mean 'train'\?\)/],
    ['constructor', /unknown kind 'constructor'/],
    ['', /unknown kind ''/],
    ['mnist', /a path is missing: write mnist:DIR/],
    ['digits:here', /'digits' takes no path/],
    ['digits?size=3', /unknown option 'size': 'digits' knows train, test, seed/],
    ['digits?train=0', /train=0 cannot be used: expected a whole number of at least 1/],
    ['digits?train=', /train= cannot be used/],
    ['digits?train', /cannot read the option 'train': expected key=value/],
    ['csv:x?test=0', /test=0 cannot be used: expected a share between 0 and 1 \(models are evaluated/],
    ['csv:x?test=1', /test=1 cannot be used: expected a share between 0 and 1/],
    ['npy:x?layout=nwhc', /layout=nwhc cannot be used: expected nchw or nhwc/],
    ['npy:x?inputs=a,,b', /inputs=a,,b cannot be used: a name is empty/],
    ['npy:x?inputs=a,b,a', /inputs=a,b,a cannot be used: 'a' is there twice/],
    ['digits?seed=1.5', /seed=1.5 cannot be used: expected a whole number/],
  ])('refuses %j and says how to write it', async (spec, message) => {
    const failure = loadData(spec);
    await expect(failure).rejects.toThrow(OptionError);
    await expect(failure).rejects.toThrow(message);
  });

  it('tells a missing folder as a file error', async () => {
    await expect(loadData('mnist:no/such/folder')).rejects.toThrow(FileError);
  });
});

describe('parseSpec', () => {
  it('takes kind, path and options apart', () => {
    expect(parseSpec('csv:C:/a?b/x.csv?label=y z&test=0.1')).toEqual({
      kind: 'csv',
      path: 'C:/a?b/x.csv',
      options: new Map([
        ['label', 'y z'],
        ['test', '0.1'],
      ]),
    });
    expect(parseSpec('digits')).toEqual({ kind: 'digits', path: '', options: new Map() });
  });
});
