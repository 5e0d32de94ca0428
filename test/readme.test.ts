// The README's first TypeScript example is type-checked and run against the built package, shortened.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/** Fewer pictures and steps: the lines are those of the README. */
const shortened = (code: string): string =>
  code.replace(/'digits'/, "'digits?train=500&test=100'").replace(/steps: \d+/, 'steps: 2');

it('the example of the README compiles, trains and saves a model', () => {
  const code = /```(?:ts|typescript)\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8'))?.[1];
  expect(code, 'README.md has a block of TypeScript').toBeDefined();
  // Inside the package, where `import 'cgfac/node'` finds the package itself.
  mkdirSync('runs', { recursive: true });
  const folder = mkdtempSync(join('runs', 'readme-'));
  try {
    writeFileSync(join(folder, 'example.mts'), shortened(code ?? ''));
    execFileSync('npx', ['tsc', '-p', tsconfigIn(folder)], { stdio: 'pipe' });
    execFileSync(process.execPath, ['example.mjs'], { cwd: folder, stdio: 'pipe' });
    expect(existsSync(join(folder, 'model.onnx'))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function tsconfigIn(folder: string): string {
  const path = join(folder, 'tsconfig.json');
  const compilerOptions = { target: 'es2022', module: 'nodenext', strict: true, types: ['node'], skipLibCheck: true };
  writeFileSync(path, JSON.stringify({ compilerOptions, files: ['example.mts'] }));
  return path;
}
