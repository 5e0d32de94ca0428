// Runs a module in a headless Chromium against the built package, and returns what it computed.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, extname, join, normalize } from 'node:path';

const root = new URL('../../', import.meta.url).pathname;

const imports = {
  'cgfac/': '/dist/',
  '@bufbuild/protobuf': '/node_modules/@bufbuild/protobuf/dist/esm/index.js',
  '@bufbuild/protobuf/': '/node_modules/@bufbuild/protobuf/dist/esm/',
  '@bufbuild/protobuf/codegenv2': '/node_modules/@bufbuild/protobuf/dist/esm/codegenv2/index.js',
  'onnx-buf': '/node_modules/onnx-buf/dist/onnx_pb.js',
  'onnxruntime-web/wasm': '/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs',
  'onnxruntime-web/webgpu': '/node_modules/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs',
};

const types: Record<string, string> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.html': 'text/html',
};

/** Chromium's path: CGFAC_CHROMIUM, or the first `chromium` or `google-chrome` of the PATH. */
export function findChromium(): string | undefined {
  const named = process.env.CGFAC_CHROMIUM;
  if (named) return named;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

/**
 * @param script the body of an async function; what it returns comes back as JSON
 * @throws Error with the page's message where the script throws
 */
export async function inBrowser(chromium: string, script: string, seconds = 60): Promise<unknown> {
  const { promise, resolve, reject } = settled<unknown>();
  const server = createServer((request, response) => {
    void answer(request, response, script, (result) =>
      'error' in result ? reject(new Error(result.error)) : resolve(result.value),
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const profile = await mkdtemp(join(tmpdir(), 'cgfac-browser-'));
  const { port } = server.address() as AddressInfo;
  const flags = ['--headless=new', '--no-sandbox', '--disable-dev-shm-usage', `--user-data-dir=${profile}`];
  const gpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];
  const browser = spawn(chromium, [...flags, ...gpu, `http://127.0.0.1:${port}/`], { stdio: 'ignore' });
  const ended = new Promise((gone) => browser.once('exit', gone));
  browser.once('error', reject);
  browser.once('exit', (code) => reject(new Error(`the browser ended with code ${code}`)));
  const timer = setTimeout(() => reject(new Error(`the page did not answer in ${seconds} s`)), seconds * 1000);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    browser.kill();
    await ended;
    server.close();
    server.closeAllConnections();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

function settled<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

type Result = { readonly value: unknown } | { readonly error: string };

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  script: string,
  finish: (result: Result) => void,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://localhost').pathname;
  const isolated = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
  if (path === '/result') {
    let body = '';
    for await (const chunk of request) body += chunk;
    response.end();
    finish(JSON.parse(body));
    return;
  }
  if (path === '/') {
    response.writeHead(200, { 'Content-Type': 'text/html', ...isolated }).end(page(script));
    return;
  }
  try {
    const content = await readFile(join(root, normalize(path)));
    response.writeHead(200, { 'Content-Type': types[extname(path)] ?? 'application/octet-stream', ...isolated });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
}

const page = (script: string): string => `<!doctype html>
<script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module">
  const post = (result) => fetch('/result', { method: 'POST', body: JSON.stringify(result) });
  addEventListener('error', (event) => post({ error: String(event.message) }));
  const run = async () => { ${script} };
  run().then((value) => post({ value }), (error) => post({ error: String(error?.stack ?? error) }));
</script>`;
