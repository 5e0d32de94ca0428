// A builder that counts the nodes that are asked of it, those that it folds, finds again or drops among them: what a
// hostile file makes us do, on any machine the same.
import { Builder } from '../../src/ops/builder.js';

export class CountingBuilder extends Builder {
  nodes = 0;

  override node(...request: Parameters<Builder['node']>): ReturnType<Builder['node']> {
    this.nodes += 1;
    return super.node(...request);
  }
}
