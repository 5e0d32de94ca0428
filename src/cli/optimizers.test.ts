import { describe, expect, it } from 'vitest';
import { manyExamples } from '../../test/support/setting.js';
import { OptionError } from '../errors.js';
import { chooseOptimizer, optimizerHelp, optimizerNames, sharedFor } from './optimizers.js';

const setting = { ...manyExamples('sigmoid-cross-entropy'), outputs: 784 };
const rate = (spec: string, shared = {}) =>
  chooseOptimizer(spec, shared, setting).optimizer.controller(setting).scalars(0).learningRate;

describe('chooseOptimizer', () => {
  it('knows each name, and passes options on to the optimizer', () => {
    for (const name of optimizerNames) expect(chooseOptimizer(name, {}, setting).optimizer.name).toBe(name);
    expect(rate('adam')).toBe(0.001);
    expect(rate('adam:learning-rate=0.5')).toBe(0.5);
    expect(rate('cgfac:learning-rate=0.25:momentum=0.5')).toBe(0.25);
  });

  it('lets an option of its own go before a shared one', () => {
    expect(rate('adam', { learningRate: 0.5 })).toBe(0.5);
    expect(rate('adam:learning-rate=0.125', { learningRate: 0.5 })).toBe(0.125);
  });

  it("scales SGD's default with the number of outputs that a loss is a mean over", () => {
    const small = chooseOptimizer('sgd', {}, { ...setting, outputs: 1 })
      .optimizer.controller(setting)
      .scalars(0).learningRate;
    expect((rate('sgd') ?? 0) / (small ?? 0)).toBeCloseTo(784);
  });

  it('refuses what it does not know, and says what it does', () => {
    const refusals: [string, object, RegExp][] = [
      ['adm', {}, /unknown optimizer 'adm' \(did you mean 'adam'\?\); choose one of cgfac/],
      ['adam:beta3=1', {}, /unknown option 'beta3' \(did you mean 'beta1'\?\); it takes learning-rate/],
      ['adam', { rank: 3 }, /--rank is no option of adam/],
      ['cgfac:form=x', {}, /form is 'x'; it must be gram or primal/],
      ['cgfac:rank=1.5', {}, /rank is 1.5; it must be a whole number/],
      ['cgfac:rank', {}, /rank is ''; it must be a number/],
      ['cgfac:momentum=0.9', {}, /momentum has no effect on self-tuning steps; it is an option of normalized and/],
      ['cgfac:step=normalized:kl-clip=1', {}, /klClip has no effect on normalized steps; .* scheduled steps/],
      ['kfac:learning-rate=1:damping-decay=0.9', {}, /dampingDecay has no effect on scheduled steps; .* self-tuning/],
      ['sgd:nesterov=yes', {}, /nesterov is 'yes'; it must be true or false/],
      ['adam:learning-rate=-1', {}, /learningRate is -1/],
    ];
    for (const [spec, shared, message] of refusals) {
      expect(() => chooseOptimizer(spec, shared, setting)).toThrow(OptionError);
      expect(() => chooseOptimizer(spec, shared, setting)).toThrow(message);
    }
  });
});

describe('sharedFor', () => {
  it('gives the learning rate to first-order optimizers, damping and rank to those that have them', () => {
    const shared = { learningRate: 1, damping: 2, rank: 3 };
    expect(sharedFor('adam:beta1=0.5', shared)).toEqual({ learningRate: 1 });
    expect(sharedFor('kfac', shared)).toEqual({ damping: 2 });
    expect(sharedFor('cgfac', shared)).toEqual({ damping: 2, rank: 3 });
  });
});

it('lists every optimizer in the help', () => {
  for (const name of optimizerNames) expect(optimizerHelp()).toMatch(new RegExp(`^  ${name} `, 'm'));
});
