// A process ends when its work is done, though an engine that it made was not closed.
import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';

it('an idle engine does not keep the process alive', async () => {
  const program =
    "import('cgfac/node').then(({ nodeEngine }) => nodeEngine({ threads: 1 })).then(() => console.log('made'))";
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect({ code, output }).toEqual({ code: 0, output: 'made\n' });
});
