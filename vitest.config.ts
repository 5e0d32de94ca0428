import { pathToFileURL } from 'node:url';
import { defineConfig } from 'vitest/config';

// A worker thread runs JavaScript, so the engine under test starts the built one.
const builtWorker = {
  name: 'cgfac-built-worker',
  enforce: 'pre' as const,
  transform(code: string, id: string) {
    if (!id.endsWith('/src/engine/node.ts')) return undefined;
    const script = pathToFileURL('dist/engine/node-worker.js').href;
    return code.replace("new URL('./node-worker.js', import.meta.url)", `new URL('${script}')`);
  },
};

export default defineConfig({
  plugins: [builtWorker],
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    globalSetup: ['test/build.ts'],
    setupFiles: ['test/properties.ts'],
    testTimeout: 60_000,
    maxWorkers: 2,
  },
});
