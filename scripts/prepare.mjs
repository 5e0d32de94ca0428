// Builds a fresh clone, so that the package can be installed from git as well. If the sources or TypeScript are missing
// (`npm ci` before the sources are copied, `--omit=dev`), there is nothing to build and npm must not fail.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const compiler = 'node_modules/typescript/bin/tsc';

if (!existsSync('dist') && existsSync('src') && existsSync(compiler)) {
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
}
