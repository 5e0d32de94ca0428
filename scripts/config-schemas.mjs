// Writes the JSON schemas of the files that `--config` takes, out of the flags of the built commands: npm run schemas.
import { mkdir, writeFile } from 'node:fs/promises';
import { configSchema } from '../dist/cli/config.js';

const folder = new URL('../schemas/', import.meta.url);
await mkdir(folder, { recursive: true });
for (const name of ['train', 'compare']) {
  const { command } = await import(`../dist/cli/${name}.js`);
  await writeFile(new URL(`${name}.schema.json`, folder), `${JSON.stringify(configSchema(command()), undefined, 2)}\n`);
}
