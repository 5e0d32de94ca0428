import { expect, it } from 'vitest';
import { typedCommand } from './environment.js';
import { typedOptions } from './typed-options.js';

it.each([
  [['train'], { command: 'train' }],
  [
    ['train', 'mlp', '--data', "csv:it's here.csv?label=a", '--steps=10', '--diagnostics', '--seed', '3'],
    { command: 'train', model: 'mlp', data: "csv:it's here.csv?label=a", steps: '10', diagnostics: 'yes', seed: '3' },
  ],
  [
    ['compare', '--freeze', 'a.*', '--freeze', 'b.*', '--json', 'lenet'],
    { command: 'compare', freeze: 'a.*, b.*', json: 'yes', model: 'lenet' },
  ],
])('reads back %j', (words, options) => {
  expect(Object.fromEntries(typedOptions(typedCommand(words)))).toEqual(options);
});
