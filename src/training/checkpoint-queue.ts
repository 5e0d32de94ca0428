// Writes the checkpoints of a run one at a time while the run goes on, and keeps what came of them until the run asks.
import type { CheckpointEvent } from './callbacks.js';
import type { Checkpointing, RunState } from './run-state.js';

export class CheckpointQueue {
  readonly #checkpointing: Checkpointing;
  /** The checkpoint that is being written. */
  #saving: Promise<void> | undefined;
  /** Checkpoints that were written since the run last asked. */
  readonly #saved: CheckpointEvent[] = [];
  /** Why a checkpoint could not be written. */
  #unsaved: { readonly error: unknown } | undefined;

  constructor(checkpointing: Checkpointing) {
    this.#checkpointing = checkpointing;
  }

  /** Whether the state before the next step is to be kept: never while another one is written. */
  due(at: Parameters<Checkpointing['due']>[0]): boolean {
    return this.#saving === undefined && this.#checkpointing.due(at);
  }

  /** Begin to write a state, after the one before it is written. */
  async save(state: RunState): Promise<void> {
    await this.#saving;
    const save = async () => {
      const saved = await this.#checkpointing.save(state);
      if (saved) this.#saved.push({ step: state.step, path: saved.path });
    };
    this.#saving = save()
      .catch((error: unknown) => {
        this.#unsaved ??= { error };
      })
      .finally(() => {
        this.#saving = undefined;
      });
  }

  /** Wait until nothing is being written. */
  async written(): Promise<void> {
    await this.#saving;
  }

  /**
   * Return the checkpoints that were written since the last call.
   * @throws the error of one that could not be written
   */
  taken(): CheckpointEvent[] {
    if (this.#unsaved) throw this.#unsaved.error;
    return this.#saved.splice(0);
  }
}
