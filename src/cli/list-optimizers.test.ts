import { describe, expect, it } from 'vitest';
import { manyExamples } from '../../test/support/setting.js';
import { OptionError } from '../errors.js';
import { mlp } from '../nn/zoo.js';
import { encodeModel } from '../onnx/encode/writer.js';
import { buildStep } from '../training/step-program.js';
import { optimizerPage } from './list-optimizers.js';
import { kindsOf, readOptions } from './named-options.js';
import { conditionsOf, type OptimizerKind } from './optimizer-kind.js';
import { checkOptimizer, chooseOptimizer, optimizerGroups, optimizerHelp, optimizerKind } from './optimizers.js';

const kinds = Object.values(optimizerGroups).flatMap((members) => Object.entries(members));

/** Return whether the text of a default is a value that can be typed. */
function isTyped({ options }: OptimizerKind, name: string): boolean {
  try {
    readOptions(name, [`${name}=${options[name]?.usual}`], kindsOf(options));
    return true;
  } catch (error) {
    if (error instanceof OptionError) return false;
    throw error;
  }
}

/** Return values to try; some options take only one of two. */
function valuesOf(kind: OptimizerKind, option: string): readonly string[] {
  const { kind: values, usual = '' } = kind.options[option] ?? {};
  if (Array.isArray(values)) return values;
  if (values === 'boolean') return ['true'];
  if (typeof values === 'object' && 'rules' in values) return [`*=${values.rules[0]}`];
  if (isTyped(kind, option)) return [usual];
  return option === 'curvature-burn-in' ? ['3:curvature-interval=5'] : ['0.5', '3'];
}

/** Return words that decide so that the option has an effect: `form=primal`; none if it always has. */
const firstCondition = (kind: OptimizerKind, option: string): string[] =>
  conditionsOf(kind, option)
    .slice(0, 1)
    .map((condition) => condition.replace(/\|.*/, ''));

/** Return what a spec makes of a small network. */
function program(spec: string) {
  const setting = { ...manyExamples('sigmoid-cross-entropy'), examples: 4, batchSize: 4 };
  const { loss } = setting;
  const { graph, scalars, initialState, noise, diagnostics } = buildStep({
    model: mlp({ seed: 1, sizes: [3, 2] }),
    loss,
    metric: loss.metric,
    optimizer: chooseOptimizer(spec, {}, setting).optimizer,
    setting,
    inputs: { dtype: 'float32', shape: [4, 3] },
    targets: { dtype: 'float32', shape: [4, 2] },
  });
  const numbers = [...scalars].map(([name, source]) => [
    name,
    ...(typeof source === 'function' ? [source(0, 0), source(9, 9)] : [source]),
  ]);
  return { file: Buffer.from(encodeModel(graph)).toString('latin1'), initialState, noise, diagnostics, numbers };
}

describe.each(kinds)('the page of %s', (name, kind) => {
  const options = Object.entries(kind.options);

  it('describes each option, in lines of at most 100 characters', () => {
    const page = optimizerPage(name, kind);
    for (const [option, { summary, usual }] of options) {
      expect(summary).toMatch(/^\S.{5,}[^.\s]$/);
      expect(usual).toMatch(/\S/);
      expect(page).toMatch(new RegExp(`^ {2}${option} +\\S`, 'm'));
    }
    expect(Math.max(...page.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(100);
  });

  it('gives defaults that are those of the library: typed, they change nothing', () => {
    for (const [option, { usual }] of options) {
      if (!isTyped(kind, option)) continue;
      const spec = [name, ...firstCondition(kind, option)].join(':');
      expect(program(`${spec}:${option}=${usual}`), `${spec}:${option}=${usual}`).toEqual(program(spec));
    }
  });

  it('gives an example that is accepted', () => {
    const spec = /--optimizer (\S+)/.exec(kind.example)?.[1] ?? '';
    expect(spec.split(':')[0]).toBe(name);
    expect(() => checkOptimizer(spec, {})).not.toThrow();
  });
});

describe('the words that an option is said to need', () => {
  const refusal = (spec: string): string => {
    try {
      checkOptimizer(spec, {});
      return '';
    } catch (error) {
      return String(error);
    }
  };

  const deciding = kinds.flatMap(([name, kind]) =>
    Object.entries(kind.choices ?? {}).flatMap(([choice, words]) =>
      Object.keys(words).map((word) => ({ name, kind, choice, word })),
    ),
  );

  it.each(deciding)('$name:$choice=$word decides about it', ({ name, kind, choice, word }) => {
    for (const option of Object.keys(kind.options)) {
      if (option === choice) continue;
      const texts = valuesOf(kind, option);
      const refusals = texts.map((text) => refusal(`${name}:${choice}=${word}:${option}=${text}`));
      const own = conditionsOf(kind, option).find((condition) => condition.startsWith(`${choice}=`));
      const isTaken = own
        ?.slice(choice.length + 1)
        .split('|')
        .includes(word);
      if (isTaken) expect(refusals, `${option} with ${choice}=${word}`).toContain('');
      if (own !== undefined && !isTaken) {
        for (const message of refusals) expect(message, `${option} with ${choice}=${word}`).toMatch(/has no effect/);
      }
    }
  });

  it.each(kinds)(
    'all options of %s that need none are taken alone, the others with the words that are named',
    (name, kind) => {
      for (const option of Object.keys(kind.options)) {
        const texts = valuesOf(kind, option);
        const spec = [name, ...firstCondition(kind, option)].join(':');
        expect(
          texts.map((text) => refusal(`${spec}:${option}=${text}`)),
          `${spec}:${option}`,
        ).toContain('');
      }
    },
  );

  it('are named for options of the kinds of damping, and of forms, that take them', () => {
    const { cgfac, kfac } = { cgfac: optimizerKind('cgfac'), kfac: optimizerKind('kfac') };
    expect(conditionsOf(cgfac, 'tolerance')).toEqual(['form=primal', 'damping-kind=tikhonov']);
    expect(conditionsOf(kfac, 'tolerance')).toEqual(['damping-kind=tikhonov']);
    expect(conditionsOf(cgfac, 'decay')).toEqual(['form=gram']);
    expect(conditionsOf(cgfac, 'damping')).toEqual([]);
    expect(conditionsOf(cgfac, 'coarse-basis')).toEqual(['two-level=balancing|additive']);
  });
});

it('lists optimizers in lines of at most 100 characters', () => {
  expect(
    Math.max(
      ...optimizerHelp()
        .split('\n')
        .map(({ length }) => length),
    ),
  ).toBeLessThanOrEqual(100);
});

it('names few of many options in a refusal, and the command that lists all', () => {
  expect(() => checkOptimizer('cgfac:rnk=3', {})).toThrow(
    /unknown option 'rnk' \(did you mean 'rank'\?\); it takes form, .{1,90}, … \(`cgfac optimizers cgfac` lists all \d+\)$/,
  );
});
