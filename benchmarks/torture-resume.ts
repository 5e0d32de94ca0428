// Whether a run that is killed at any instant ends with the same bits once it is resumed.
// npm run torture:resume -- [--kills 1000] [--seed 1]

import { usage } from './measure.js';
import { torture } from './torture.js';

const call = 'npm run torture:resume [-- --kills N --seed N]';
const given = new Map<string, number>();
const words = process.argv.slice(2);
for (let i = 0; i < words.length; i += 2) {
  const value = Number(words[i + 1]);
  if (!['--kills', '--seed'].includes(words[i] ?? '') || !(Number.isInteger(value) && value > 0)) usage(call);
  given.set(words[i] ?? '', value);
}
const began = performance.now();
const { kills, runs, failures } = await torture({
  kills: given.get('--kills') ?? 1000,
  seed: given.get('--seed') ?? 1,
  program: 'dist/cli/main.js',
  threads: [1, 2],
  say: (line) => console.log(line),
});
const minutes = ((performance.now() - began) / 60_000).toFixed(1);
console.log(`\n${kills} kills over ${runs} runs in ${minutes} min: ${failures.length} runs differ`);
for (const failure of failures) console.log(failure);
process.exitCode = failures.length > 0 ? 1 : 0;
