// Chooses which parameters are trained, by their names: `--train 'head.*' --freeze 'encoder.*'`.
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import { checkedTexts, checkKeys, type OptionKeys } from '../../options.js';
import { isFileModel } from '../file-model.js';
import { checkModel, type Model } from '../model.js';

export interface Selection {
  /** Globs of the parameters to train: `*` stands for any characters, `?` for one. By default all. */
  readonly train?: readonly string[];
  /** Globs of parameters that keep their elements, even if `train` names them. */
  readonly freeze?: readonly string[];
}

const keys: OptionKeys<Selection> = { train: true, freeze: true };

/**
 * Return the model with fewer trained parameters; the others stay as constants of its graph and in the files it writes.
 * @throws OptionError for unknown options, for a glob that matches no parameter, and if none is left
 * @example
 * const model = resnet20({ seed: 1 });
 * const headOnly = selectParameters(model, { train: ['head.*'] });
 */
export function selectParameters<Selected extends Model>(model: Selected, selection: Selection): Selected {
  checkModel('selectParameters', model);
  checkKeys('selectParameters', selection, keys);
  checkedTexts('train', selection.train);
  checkedTexts('freeze', selection.freeze);
  const trained = selection.train ? matching(model, selection.train) : new Set(model.parameters.keys());
  for (const name of matching(model, selection.freeze ?? [], 'held fixed too')) trained.delete(name);
  if (trained.size === 0) {
    throw new OptionError(`no parameter of model '${model.name}' is left to train: every one is frozen`);
  }
  const parameters = new Map<string, Value>([...model.parameters].filter(([name]) => trained.has(name)));
  return { ...model, parameters };
}

/**
 * Return the names of the parameters that some glob matches.
 * @param enough accept a glob that matches only tensors that the file holds fixed already
 * @throws OptionError for a glob that matches none
 */
export function matching(model: Model, globs: readonly string[], enough?: 'held fixed too'): Set<string> {
  const names = [...model.parameters.keys()];
  return new Set(
    globs.flatMap((glob) => {
      const pattern = toPattern(glob);
      const found = names.filter((name) => pattern.test(name));
      if (found.length === 0) {
        const [held] = isFileModel(model) ? [...model.untrained].filter(([name]) => pattern.test(name)) : [];
        if (held && enough) return [];
        if (held) {
          throw new OptionError(
            `'${glob}' matches no parameter of model '${model.name}': its tensor '${held[0]}' is held fixed, because ${held[1]}`,
          );
        }
        const some = names.slice(0, 20).join(', ') + (names.length > 20 ? ', …' : '');
        throw new OptionError(`'${glob}' matches no parameter of model '${model.name}'; it has ${some || 'none'}`);
      }
      return found;
    }),
  );
}

/** Return the pattern of a glob on names: * is any text, ? any character. */
export function toPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's');
}
