// What an import of the package loads: a list, so that nothing heavy comes in unseen.
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

/** Writes the address of each module to stdout as it is loaded. */
const listing = `import { register } from 'node:module';
register('data:text/javascript,' + encodeURIComponent(
  "import { writeSync } from 'node:fs'; export async function load(url, context, next) { writeSync(1, url + '\\\\n'); return next(url, context); }"
));`;

/** Packages that importing a file of the build loads, and how many modules of each. */
function loaded(file: string): Map<string, number> {
  const hook = `data:text/javascript,${encodeURIComponent(listing)}`;
  const output = execFileSync(process.execPath, ['--import', hook, `dist/${file}`], { encoding: 'utf8' });
  const packages = new Map<string, number>();
  for (const [, name = ''] of output.matchAll(/\/node_modules\/((?:@[^/]+\/)?[^/]+)\//g))
    packages.set(name, (packages.get(name) ?? 0) + 1);
  return packages;
}

const core = ['@bufbuild/protobuf', 'onnx-buf', 'onnxruntime-common'];
// Small modules without a DOM: 13 ms in all.
const charts = [
  'd3-array',
  'd3-color',
  'd3-format',
  'd3-interpolate',
  'd3-path',
  'd3-scale',
  'd3-shape',
  'd3-time',
  'd3-time-format',
];

it.each([
  ['index.js', core],
  ['node.js', [...core, ...charts]],
])('%s loads few packages', (file, expected) => {
  const packages = loaded(file);
  expect([...packages.keys()].sort()).toEqual([...expected].sort());
  for (const name of charts) expect(packages.get(name) ?? 0).toBeLessThanOrEqual(1); // one file each, bundled
});
