import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { expect, it, onTestFinished } from 'vitest';
import { OptionError } from '../../errors.js';
import { WatchedFolder } from './folder.js';
import { MetricsTail } from './metrics-tail.js';
import { watchScript } from './script.js';
import { WatchServer } from './server.js';

function temporary(): string {
  const path = mkdtempSync(join(tmpdir(), 'watch-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

const line = (step: number, metrics: Record<string, unknown> = {}): string =>
  `${JSON.stringify({ step, epoch: step / 10, loss: 1 / step, metrics, seconds: step / 5, optimizer: { damping: step } })}\n`;

/** A folder whose lock is held as `locked` says. */
const watched = (path: string, locked: ReadonlySet<string> = new Set()): WatchedFolder =>
  new WatchedFolder(path, {
    metrics: 'metrics.jsonl',
    manifest: 'run.json',
    isLocked: async (folder) => locked.has(folder),
  });

function addRun(path: string, steps: number, metrics?: Record<string, unknown>): string {
  mkdirSync(path, { recursive: true });
  const lines = Array.from({ length: steps }, (_, i) => line(i + 1, metrics));
  writeFileSync(join(path, 'metrics.jsonl'), lines.join(''));
  return path;
}

it('reads lines as they are written, whole ones only, and a file that was replaced anew', async () => {
  const path = join(temporary(), 'metrics.jsonl');
  const tail = new MetricsTail(path);
  expect(await tail.look()).toBe(false);
  const second = line(2, { accuracy: 'NaN', testLoss: 'Infinity' });
  writeFileSync(path, line(1) + second.slice(0, 20));
  expect(await tail.look()).toBe(true);
  expect(tail.records.map(({ step }) => step)).toEqual([1]);
  expect(await tail.look()).toBe(false);
  appendFileSync(path, `${second.slice(20)}no JSON\n{"step":"x"}\n`);
  expect(await tail.look()).toBe(true);
  expect(tail.records.map(({ step }) => step)).toEqual([1, 2]);
  expect(tail.records[1]?.metrics).toEqual({ accuracy: Number.NaN, testLoss: Number.POSITIVE_INFINITY });
  appendFileSync(path, line(3) + line(4) + line(3) + line(4) + line(5));
  await tail.look();
  expect(tail.records.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
  writeFileSync(path, line(7));
  expect(await tail.look()).toBe(true);
  expect(tail.records.map(({ step }) => step)).toEqual([7]);
});

it('finds runs in folders, and knows how each is', async () => {
  const path = temporary();
  addRun(join(path, 'alone'), 2);
  writeFileSync(join(path, 'alone', 'run.json'), JSON.stringify({ state: 'finished', command: 'cgfac train' }));
  addRun(join(path, 'race', 'adam'), 3);
  addRun(join(path, 'race', 'sgd'), 1);
  writeFileSync(join(path, 'race', 'run.json'), JSON.stringify({ state: 'running' }));
  addRun(join(path, 'bare'), 1);
  mkdirSync(join(path, 'begun'));
  mkdirSync(join(path, 'nothing'));
  const locked = new Set([join(path, 'begun'), join(path, 'race')]);
  const folder = watched(path, locked);
  await folder.look();
  const found = () =>
    folder.groups.map(({ title, state, runs }) => [title, state, runs.map(({ name }) => name).join(' ')]);
  expect(found()).toEqual([
    ['alone', 'finished', 'alone'],
    ['bare', 'killed', 'bare'],
    ['begun', 'waiting', ''],
    ['race', 'running', 'adam sgd'],
  ]);
  expect(folder.groups[0]?.command).toBe('cgfac train');
  const { version } = folder;
  await folder.look();
  expect(folder.version).toBe(version);
  locked.delete(join(path, 'race'));
  await folder.look();
  expect(folder.version).toBe(version + 1);
  expect(found().at(-1)?.[1]).toBe('killed');
  await expect(watched(join(path, 'missing')).look()).rejects.toThrow(/there is no folder/);
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

const get = (url: string, options: { path?: string; method?: string; host?: string } = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { path = '/', method = 'GET', host } = options;
    const { hostname, port } = new URL(url);
    const sent = request(
      { hostname, port, path, method, ...(host !== undefined && { headers: { host } }) },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (text) => {
          body += text;
        });
        answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body }));
      },
    );
    sent.on('error', reject);
    sent.end();
  });

async function serve(path: string, port = 0, attempts = 1): Promise<WatchServer> {
  const server = await WatchServer.open({
    ...{ folder: watched(path), title: 'a <run>', environment: { cgfac: '1' }, port, attempts },
    interval: 5,
  });
  onTestFinished(() => server.close());
  return server;
}

it('serves a page that needs nothing else, with the charts of each run', async () => {
  const path = temporary();
  addRun(join(path, 'a<b'), 4, { accuracy: 0.5, testAccuracy: 0.25, testLoss: 2 });
  const { url } = await serve(path);
  const { status, headers, body } = await get(url);
  expect(status).toBe(200);
  expect(headers['content-security-policy']).toMatch(/^default-src 'none'/);
  expect(body).toContain('<title>a &lt;run&gt;</title>');
  expect(body).toContain('a&lt;b');
  expect(body).toContain('<svg');
  expect(body).toContain('25.00 %');
  expect(body).not.toMatch(/(src|href)="(?!watch\.js|#|data:)/);
  expect((await get(url, { path: '/parts' })).body).toMatch(/^\s*<section/);
});

it('answers this machine only, and no path', async () => {
  const { url } = await serve(addRun(temporary(), 1));
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  const statuses = async (options: readonly Parameters<typeof get>[1][]) =>
    (await Promise.all(options.map((one) => get(url, one)))).map(({ status }) => status);
  const own = ['localhost', 'LOCALHOST:9000', '127.0.0.1:1', '[::1]:5'].map((host) => ({ host }));
  expect(await statuses(own)).toEqual([200, 200, 200, 200]);
  const others = ['evil.example', '127.0.0.1.evil.example', 'evil.example:127', '0.0.0.0', '[::1]evil'];
  expect(await statuses(others.map((host) => ({ host })))).toEqual(others.map(() => 403));
  const paths = ['/metrics.jsonl', '/../run.json', '/%2e%2e/run.json', '//etc/passwd', '/report.html'];
  expect(await statuses(paths.map((path) => ({ path })))).toEqual(paths.map(() => 404));
  expect(await statuses([{ method: 'POST' }, { method: 'HEAD' }])).toEqual([405, 200]);
});

it('tells an open page of each change', async () => {
  const path = addRun(temporary(), 1);
  const { url } = await serve(path);
  await new Promise<void>((resolve, reject) => {
    let told = 0;
    const sent = request(`${url}events`, (answer) => {
      expect(answer.headers['content-type']).toBe('text/event-stream');
      answer.setEncoding('utf8').on('data', (text: string) => {
        told += text.split('data: new').length - 1;
        if (told === 1) appendFileSync(join(path, 'metrics.jsonl'), line(2));
        if (told > 1) resolve();
      });
    });
    sent.on('error', reject);
    sent.end();
    onTestFinished(() => void sent.destroy());
  });
  expect((await get(url, { path: '/parts' })).body).toContain('<td>2</td>');
});

it('takes the next free port, or says that the only one is taken', async () => {
  const path = addRun(temporary(), 1);
  const other = createServer();
  const port = await new Promise<number>((resolve) =>
    other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port)),
  );
  onTestFinished(() => void other.close());
  await expect(serve(path, port)).rejects.toThrow(OptionError);
  const { url } = await serve(path, port, 50);
  expect(Number(new URL(url).port)).toBeGreaterThan(port);
});

it('has a script that browsers can parse', () => {
  expect(() => new Script(watchScript)).not.toThrow();
});
