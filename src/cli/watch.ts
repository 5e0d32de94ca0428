// `cgfac watch`: a page that follows the runs in a folder, on this machine only.
import { basename, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { packageVersion } from '../api/package-version.js';
import { OptionError } from '../errors.js';
import { isLocked } from '../files/folder-lock.js';
import { debugFlag } from './debug-flag.js';
import { number } from './number.js';
import { fileNames, manifestName } from './run-folder.js';

const usualPort = 6363;
/** Ports to try if the usual one is taken. */
const attempts = 20;

const examples = `
The page is served to this machine only (127.0.0.1). From another one: ssh -L ${usualPort}:localhost:${usualPort} HOST

Examples
  cgfac watch runs/lenet-cgfac
  cgfac watch runs
  cgfac watch runs --port 9000`;

export function command(): Command {
  return new Command('watch')
    .description('Follow the runs in a folder on a page in the browser')
    .argument('<dir>', 'the folder of a run, or one with folders of runs')
    .addOption(
      new Option(
        '--port <n>',
        `the port of the page, 0 for any free one (default: ${usualPort}, or the next free one)`,
      ).argParser(number('--port', { atLeast: 0, atMost: 65535, integer: true })),
    )
    .addOption(debugFlag())
    .addHelpText('after', examples)
    .action(run);
}

async function run(path: string, { port }: { readonly port?: number }): Promise<void> {
  const { WatchedFolder } = await import('../reporting/watch/folder.js');
  const { WatchServer } = await import('../reporting/watch/server.js');
  const folder = new WatchedFolder(path, { metrics: fileNames.metrics, manifest: manifestName, isLocked });
  await folder.look();
  if (folder.groups.length === 0) {
    throw new OptionError(
      `'${path}' holds no run: there is no ${fileNames.metrics} in it or below it; give the folder of a run (its --out)`,
    );
  }
  const server = await WatchServer.open({
    folder,
    title: basename(resolve(path)),
    environment: { cgfac: await packageVersion() },
    port: port ?? usualPort,
    attempts: port === undefined ? attempts : 1,
  });
  console.log(`${path} is at ${server.url} (Ctrl-C ends it)`);
  await new Promise<void>((end) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => end());
  });
  await server.close();
}
