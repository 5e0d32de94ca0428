// A text continued by a model that predicts the next character at each position, as `charTransformer` does.
import type { Engine } from '../engine/engine.js';
import { GraphError, OptionError } from '../errors.js';
import { elementCount, type TensorData, tensor } from '../graph/tensor.js';
import { meaningOf } from '../model/meaning.js';
import { checkModel, type Model } from '../model/model.js';
import { checkedCount, checkedNumber, checkedSeed, checkKeys, described, type OptionKeys } from '../options.js';
import { random } from '../random.js';
import { openedEngine } from './default-engine.js';
import { Forward } from './forward.js';

export interface GenerateOptions {
  /** Characters to add; 200 by default. */
  readonly length?: number;
  /**
   * Logits are divided by it before the softmax: below 1 the text is more predictable, above 1 less. 1 by default; 0 takes
   * the most probable character always.
   */
  readonly temperature?: number;
  /** Seed of the draws; 0 by default. */
  readonly seed?: number;
  /** The engine that computes; by default a new one, which is closed at the end: see `train`. */
  readonly engine?: Engine;
}

const keys: OptionKeys<GenerateOptions> = { length: true, temperature: true, seed: true, engine: true };

/**
 * Return the characters that continue a text, one by one: each is drawn from the softmax of the model's logits divided by the
 * temperature. The model sees as many of the last characters as a window of its training text had. The same seed gives the
 * same text.
 * @throws OptionError for a model that is none of text, for an empty text, and for a character that the model does not know;
 *   GraphError if the model looks at characters after the one that it continues
 * @example
 * const network = charTransformer({ vocabulary: 4, context: 8, width: 8, heads: 2, layers: 1, seed: 1 });
 * const model = withMeaning(network, { text: { vocabulary: [...'abc '], context: 8 } }); // one trained on text:FILE has this
 * let text = 'a cab';
 * for await (const character of generateText(model, text, { length: 20, temperature: 0.8 })) text += character;
 * console.log(text);
 */
export function generateText(
  model: Model,
  prompt: string,
  options: GenerateOptions = {},
): AsyncGenerator<string, void, undefined> {
  checkModel('generateText', model);
  checkKeys('generateText', options, keys);
  const { length = 200, temperature = 1, seed = 0 } = options;
  checkedCount('length of generateText', length);
  checkedNumber('temperature', temperature, { atLeast: 0 });
  checkedSeed(seed);
  const text: unknown = prompt;
  if (typeof text !== 'string' || text === '') {
    throw new OptionError(`the text to continue is ${described(text)}; give at least one character`);
  }
  const language = languageOf(model);
  const numbers = new Map(language.vocabulary.map((character, number) => [character, number]));
  const tokens = Array.from(prompt, (character, place) => {
    const number = numbers.get(character);
    if (number !== undefined) return number;
    const known = language.vocabulary.map((each) => JSON.stringify(each).slice(1, -1)).join('');
    throw new OptionError(
      `the character ${JSON.stringify(character)} (number ${place + 1} of the text) is not among the ${language.vocabulary.length} that model '${model.name}' knows: write the text with ${known}`,
    );
  });
  return continued(model, language, tokens, { length, temperature, seed }, options.engine);
}

interface Language {
  readonly vocabulary: readonly string[];
  /** Positions of the input. */
  readonly context: number;
  readonly input: { readonly name: string; readonly batch: number | undefined };
}

/** @throws OptionError if a model does not continue texts */
function languageOf(model: Model): Language {
  const { text } = meaningOf(model);
  if (!text) {
    throw new OptionError(
      `model '${model.name}' does not say which characters its tokens are, as models trained on text:FILE do: train it with cgfac, or give it a meaning (withMeaning)`,
    );
  }
  const [input, ...others] = model.graph.inputs;
  const [batch, positions, ...more] = input?.shape ?? [];
  if (!input || others.length > 0 || more.length > 0 || positions === undefined || input.dtype !== 'int64') {
    throw new OptionError(
      `model '${model.name}' does not take one text as int64 [batch, positions], so it cannot continue one`,
    );
  }
  const context = typeof positions === 'number' ? positions : text.context;
  return {
    vocabulary: text.vocabulary,
    context,
    input: { name: input.name, batch: typeof batch === 'number' ? batch : undefined },
  };
}

async function* continued(
  model: Model,
  language: Language,
  prompt: readonly number[],
  { length, temperature, seed }: Required<Omit<GenerateOptions, 'engine'>>,
  shared: Engine | undefined,
): AsyncGenerator<string, void, undefined> {
  const { vocabulary, context } = language;
  const output = model.graph.outputs[0]?.name ?? '';
  const engine = await openedEngine(shared);
  try {
    const forward = new Forward(engine, model, [output]);
    const tokens = prompt.slice(-context);
    for (let place = 0; place < length; place++) {
      const logits = await nextLogits(forward, model, language, tokens, place === 0);
      const token = drawn(logits, temperature, random(seed, 'generate', place).uniform());
      yield vocabulary[token] ?? '';
      tokens.push(token);
      if (tokens.length > context) tokens.shift();
    }
  } finally {
    await engine.close();
  }
}

/**
 * Return the logits of the character after the tokens. Places behind them are filled up: a causal model does not see those.
 * @param isChecked whether to find out if it does, by filling up with another character as well
 * @throws GraphError if it does
 */
async function nextLogits(
  forward: Forward,
  model: Model,
  { vocabulary, context, input }: Language,
  tokens: readonly number[],
  isChecked: boolean,
): Promise<readonly number[]> {
  const classes = vocabulary.length;
  const logitsFilledWith = async (filling: number) => {
    const row = Array.from({ length: context }, (_, place) => BigInt(tokens[place] ?? filling));
    const batch = input.batch ?? 1;
    const data = BigInt64Array.from({ length: batch * context }, (_, i) => row[i % context] ?? 0n);
    const results = await forward.run({ [input.name]: tensor('int64', [batch, context], data) });
    return lastLogits(model, Object.values(results)[0], context, classes, tokens.length - 1);
  };
  const logits = await logitsFilledWith(0);
  if (!isChecked || tokens.length === context) return logits;
  const others = await logitsFilledWith(classes - 1);
  const scale = Math.max(...logits.map(Math.abs), 1e-6);
  if (logits.every((x, i) => Math.abs(x - (others[i] ?? x)) <= 1e-4 * scale)) return logits;
  throw new GraphError(
    `model '${model.name}' looks at later characters, so it continues only texts of at least ${context} characters: give it a longer one`,
  );
}

/** The logits at one place of the first text, `[batch, positions, classes]`. @throws GraphError for another shape */
function lastLogits(
  model: Model,
  logits: TensorData | undefined,
  positions: number,
  classes: number,
  place: number,
): readonly number[] {
  const dims = logits?.dims ?? [];
  if (!logits || elementCount(dims.slice(1)) !== positions * classes || dims.at(-1) !== classes) {
    throw new GraphError(
      `the output of model '${model.name}' is [${dims.join(', ')}], not [batch, ${positions}, ${classes}]: a logit for each character at each position`,
    );
  }
  const found = Array.from<number | bigint, number>(
    logits.data.subarray(place * classes, (place + 1) * classes),
    Number,
  );
  if (found.every(Number.isFinite)) return found;
  throw new GraphError(
    `the logits of model '${model.name}' are not finite: its parameters are damaged, or it diverged`,
  );
}

/** Return the number of the character that a uniform number draws from softmax(logits / temperature). */
function drawn(logits: readonly number[], temperature: number, uniform: number): number {
  const most = Math.max(...logits);
  if (temperature === 0) return Math.max(0, logits.indexOf(most));
  const weights = logits.map((logit) => Math.exp((logit - most) / temperature));
  let rest = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [token, weight] of weights.entries()) {
    rest -= weight;
    if (rest < 0) return token;
  }
  return weights.findLastIndex((weight) => weight > 0);
}
