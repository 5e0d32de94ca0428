// Serves the page of watched runs to this machine only. A page of another site cannot read it either: requests whose host name is not
// this machine's (DNS rebinding) are refused, and nothing of the request becomes a path.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, OptionError } from '../../errors.js';
import { systemCode } from '../../files/write.js';
import type { WatchedFolder } from './folder.js';
import { scriptName, watchedParts, watchPage } from './page.js';
import { watchScript } from './script.js';

export interface WatchServerOptions {
  readonly folder: WatchedFolder;
  readonly title: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The first port to try, 0 for any free one. */
  readonly port: number;
  /** Ports to try from there if they are taken. */
  readonly attempts: number;
  /** Milliseconds between looks at the folder. */
  readonly interval?: number;
}

const address = '127.0.0.1';
/** Names of this machine in the header Host. A forwarded port may be another one, so it is not compared. */
const hosts: readonly string[] = ['127.0.0.1', 'localhost', '[::1]'];

const headers = {
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
};

export class WatchServer {
  readonly #options: WatchServerOptions;
  readonly #server: Server;
  readonly #listeners = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(options: WatchServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => end(response, 500, messageOf(error)));
    });
  }

  /**
   * Serve until `close`.
   * @throws OptionError if the ports are taken
   */
  static async open(options: WatchServerOptions): Promise<WatchServer> {
    await options.folder.look();
    const server = new WatchServer(options);
    await server.#listen();
    server.#wait();
    return server;
  }

  /** The address of the page. */
  get url(): string {
    return `http://${address}:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Tell the pages, and free the port. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const response of this.#listeners) response.end();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #listen(): Promise<void> {
    const { port, attempts } = this.#options;
    for (let next = port; ; next++) {
      try {
        await new Promise<void>((resolve, reject) => {
          this.#server.once('error', reject);
          this.#server.listen({ port: next, host: address, exclusive: true }, () => {
            this.#server.off('error', reject);
            resolve();
          });
        });
        return;
      } catch (error) {
        const code = systemCode(error);
        if (code === 'EADDRINUSE' && next - port + 1 < attempts && next < 65535) continue;
        if (code === 'EADDRINUSE')
          throw new OptionError(
            `port ${next} is taken by another program; give another one (--port), or 0 for any free one`,
          );
        if (code === 'EACCES') throw new OptionError(`port ${next} needs more rights; give one from 1024 on (--port)`);
        throw new OptionError(`cannot serve on ${address}: ${messageOf(error)}`, { cause: error });
      }
    }
  }

  /** Look at the folder from time to time, while a page listens. */
  #wait(): void {
    this.#timer = setTimeout(async () => {
      if (this.#listeners.size > 0) {
        const before = this.#options.folder.version;
        // A folder that cannot be read now may be so later: a page keeps its last state.
        await this.#options.folder.look().catch(() => undefined);
        if (this.#options.folder.version !== before)
          for (const listener of this.#listeners) listener.write('data: new\n\n');
      }
      if (!this.#isClosed) this.#wait();
    }, this.#options.interval ?? 1000);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '/', headers: given } = request;
    const host = (given.host ?? '').replace(/:\d+$/, '').toLowerCase();
    if (!hosts.includes(host)) return end(response, 403, 'this page is for this machine only');
    if (method !== 'GET' && method !== 'HEAD') return end(response, 405, 'only GET is answered here');
    const { folder, title, environment } = this.#options;
    switch (url.replace(/\?.*/, '')) {
      case '/':
        await folder.look();
        return end(response, 200, watchPage(title, folder.groups, environment), 'text/html');
      case '/parts':
        return end(response, 200, watchedParts(folder.groups), 'text/html');
      case `/${scriptName}`:
        return end(response, 200, watchScript, 'text/javascript');
      case '/events':
        return this.#follow(request, response);
      default:
        return end(response, 404, 'there is nothing here');
    }
  }

  /** Server-sent events (HTML Living Standard, 9.2): a message for each change. */
  #follow(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' });
    response.write('retry: 2000\n\ndata: new\n\n');
    this.#listeners.add(response);
    request.on('close', () => this.#listeners.delete(response));
  }
}

function end(response: ServerResponse, status: number, body: string, type = 'text/plain'): void {
  if (response.headersSent) {
    response.end();
    return;
  }
  response.writeHead(status, { ...headers, 'content-type': `${type}; charset=utf-8` });
  response.end(body);
}
