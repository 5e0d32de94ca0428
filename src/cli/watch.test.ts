import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { cgfac } from '../../test/support/command.js';

function temporary(): string {
  const path = mkdtempSync(join(tmpdir(), 'watch-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

it('serves until Ctrl-C', async () => {
  const path = temporary();
  const record = { step: 1, epoch: 1, loss: 0.5, metrics: {}, seconds: 1, optimizer: {} };
  writeFileSync(join(path, 'metrics.jsonl'), `${JSON.stringify(record)}\n`);
  const child = spawn(process.execPath, ['dist/cli/main.js', 'watch', path, '--port', '0']);
  const ended = new Promise((resolve) => child.on('close', (code) => resolve(code)));
  const url = await new Promise<string>((resolve) =>
    child.stdout.on('data', (text) => resolve(/http:\S+/.exec(String(text))?.[0] ?? 'no address')),
  );
  expect((await fetch(url)).status).toBe(200);
  child.kill('SIGINT');
  expect(await ended).toBe(0);
});

it('says what is wrong in one line', async () => {
  const path = temporary();
  const empty = await cgfac(['watch', path]);
  expect(empty.code).toBe(2);
  expect(empty.stderr).toMatch(/^cgfac: '.*' holds no run: there is no metrics\.jsonl in it or below it; .*\n$/);
  expect((await cgfac(['watch', join(path, 'missing')])).stderr).toMatch(/^cgfac: there is no folder '.*missing'\n$/);
  expect((await cgfac(['watch', path, '--port', '70000'])).stderr).toMatch(
    /--port is 70000; it must be .*at most 65535/,
  );
});
