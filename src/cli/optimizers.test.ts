import { describe, expect, it } from 'vitest';
import { manyExamples } from '../../test/support/setting.js';
import { OptionError } from '../errors.js';
import { mlp } from '../nn/zoo.js';
import { buildStep } from '../training/step-program.js';
import { checkOptimizer, chooseOptimizer, optimizerHelp, optimizerNames, sharedFor } from './optimizers.js';

const setting = manyExamples('sigmoid-cross-entropy');

/** The first learning rate of an optimizer, on a model of so many outputs. */
function rate(spec: string, shared = {}, outputs = 2): number | undefined {
  const { loss } = setting;
  const { scalars } = buildStep({
    model: mlp({ seed: 1, sizes: [3, outputs] }),
    loss,
    metric: loss.metric,
    optimizer: chooseOptimizer(spec, shared, setting).optimizer,
    setting,
    inputs: { dtype: 'float32', shape: [4, 3] },
    targets: { dtype: 'float32', shape: [4, outputs] },
  });
  const source = scalars.get('learningRate');
  return typeof source === 'function' ? source(0, 0) : source;
}

describe('chooseOptimizer', () => {
  it('knows each name, and passes options on to the optimizer', () => {
    for (const name of optimizerNames) expect(chooseOptimizer(name, {}, setting).optimizer.name).toBe(name);
    expect(rate('adam')).toBe(0.001);
    expect(rate('adam:learning-rate=0.5')).toBe(0.5);
    expect(rate('cgfac:learning-rate=0.25:momentum=0.5')).toBe(0.25);
  });

  it('takes an option that is given beside it', () => {
    expect(rate('adam', { learningRate: 0.5 })).toBe(0.5);
  });

  it("scales SGD's default with the number of outputs that a loss is a mean over", () => {
    expect(rate('sgd', {}, 1)).toBe(0.002);
    expect(rate('sgd', {}, 784)).toBeCloseTo(784 * 0.002);
  });

  it('refuses what it does not know, and says what it does', () => {
    const refusals: [string, object, RegExp][] = [
      ['adm', {}, /unknown optimizer 'adm' \(did you mean 'adam'\?\); choose one of cgfac/],
      ['adam:beta1=0.8:beta1=0.9', {}, /beta1 is given twice; give it once/],
      ['adam:beta3=1', {}, /unknown option 'beta3' \(did you mean 'beta1'\?\); it takes learning-rate/],
      ['adam', { rank: 3 }, /--rank is not an option of adam/],
      ['adam', { diagnostics: true }, /--diagnostics is not an option of adam/],
      ['cgfac:diagnostics', { diagnostics: true }, /and --diagnostics both give diagnostics/],
      ['kfac:diagnostics=all', {}, /diagnostics is 'all'; it must be true or false/],
      ['cgfac:rank=4', { rank: 3 }, /optimizer 'cgfac:rank=4' and --rank both give rank; give it once/],
      ['adam:learning-rate=0.2', { learningRate: 0.1 }, /and --learning-rate both give learning-rate/],
      ['sgd:momentum=0:nesterov', {}, /nesterov has no effect without momentum/],
      ['cgfac:rank=x', {}, /rank is 'x'; it must be a number or auto/],
      ['cgfac:form=x', {}, /form is 'x'; it must be gram or primal or inverse-free/],
      ['cgfac:rank=1.5', {}, /rank is 1.5; it must be a whole number/],
      ['cgfac:rank', {}, /rank is ''; it must be a number/],
      ['cgfac:form=primal:rank=3', {}, /rank has no effect on the primal form; it is an option of the Gram form/],
      ['cgfac:form=primal:damping-kind=tikhonov', {}, /dampingKind has no effect on the primal form/],
      ['cgfac:form=primal', { rank: 3 }, /rank has no effect on the primal form/],
      ['cgfac:warm-start=false', {}, /warmStart has no effect on factored damping/],
      ['cgfac:max-iterations=3', {}, /maxIterations has no effect on factored damping; .* Tikhonov damping and of the/],
      ['kfac:tolerance=0.1', {}, /tolerance has no effect on factored damping/],
      ['kfac:damping-kind=tikhonov:inverse-interval=3', {}, /inverseInterval has no effect on Tikhonov damping/],
      ['cgfac:fisher=exact:samples=2', {}, /samples has no effect on the exact Fisher matrix; .* the sampled one/],
      ['natural-gradient:coupling=layers', {}, /coupling is 'layers'; it must be whole-network or each-layer/],
      ['kfac:coarse-basis=ones', {}, /coarseBasis has no effect on blocks without a correction/],
      ['kfac:two-level=on', {}, /two-level is 'on'; it must be balancing or additive/],
      ['hessian-free:fisher=exact', {}, /unknown option 'fisher'/],
      ['natural-gradient:rank=3', {}, /unknown option 'rank'/],
      ['cgfac:fisher=input-only:samples=2', {}, /samples has no effect on the input-only Fisher matrix/],
      ['kfac:damping-kind=tikhonov:pi=1', {}, /pi has no effect on Tikhonov damping; .* factored damping/],
      ['kfac:power=-0.5', {}, /power has no effect on factored damping; .* by eigenvalues and of eigenvalue-corrected/],
      ['cgfac:damping-kind=eigenvalues:rank=3', {}, /rank has no effect on damping by eigenvalues/],
      ['kfac:damping-kind=eigenvalues:moments=gradient', {}, /moments has no effect on damping by eigenvalues/],
      ['kfac:damping-kind=eigen-corrected:power=1', {}, /power is 1/],
      ['cgfac:form=inverse-free:tolerance=1', {}, /tolerance has no effect on the inverse-free form/],
      ['cgfac:form=primal:pi=1', {}, /pi has no effect on the primal form/],
      ['kfac:pi=0', {}, /pi is 0/],
      ['kfac:blocks=head.*', {}, /blocks is 'head\.\*'; it must be globs on names, each with kronecker or reduced or/],
      ['kfac:blocks=head.*=round', {}, /blocks is 'head\.\*=round'; it must be globs/],
      ['cgfac:fisher=true', {}, /fisher is 'true'; it must be sampled or empirical or exact/],
      ['cgfac:rest-learning-rate=0', {}, /learningRate is 0/],
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

describe('words', () => {
  const made = (spec: string) => chooseOptimizer(spec, {}, setting).optimizer;

  it('of every kind make optimizers', () => {
    for (const spec of [
      'cgfac:form=primal:warm-start=false:tolerance=0.1',
      'cgfac:rank=auto:decay=0.9',
      'cgfac:damping-kind=tikhonov:stopping=progress:max-iterations=9:shrinkage=0.5:warm-start=true',
      'cgfac:form=gram:damping-kind=tikhonov:max-iterations=3:rank=8:decay=0.5',
      'hessian-free:diagnostics',
      'cgfac:damping-kind=factored:fisher=sampled:samples=2:curvature-rows=8:curvature-interval=3:curvature-burn-in=9',
      'kfac:damping-kind=eigen-corrected:moments=gradient:basis-interval=50',
      'cgfac:damping-kind=eigenvalues:power=-0.5:decay=0.9',
      'cgfac:form=inverse-free:step=normalized',
      'cgfac:fisher=curvature-propagation:samples=3:pi=0.5',
      'kfac:fisher=input-only:blocks=head.*=full,*.norm=diagonal,*=reduced',
      'cgfac:step=normalized:momentum=0.5:weight-decay=0.1:rest-learning-rate=0.1',
      'kfac:step=self-tuning:damping-interval=3:prior-precision=0:inverse-interval=5',
      'kfac:kl-clip=0.1:learning-rate=0.1:iterate-averaging=0',
      'kfac:two-level=balancing',
      'cgfac:two-level=additive:coarse-basis=krylov:form=primal',
      'hessian-free:max-iterations=20:stopping=residual:tolerance=0.1:warm-start=false:damping=3',
      'natural-gradient:coupling=each-layer:step=normalized:momentum=0.5:fisher=empirical',
    ]) {
      expect(made(spec).name).toBe(spec.split(':')[0]);
    }
  });

  it('decide the kind of step as options did: what to change about it tells', () => {
    expect(made('cgfac').remedy?.(setting)).toMatch(/^Take larger batches/);
    expect(made('cgfac:learning-rate=0.1').remedy?.(setting)).toMatch(/^Lower the learning rate or raise the damping/);
    expect(made('cgfac:step=normalized:learning-rate=0.1').remedy?.(setting)).toBe('Lower the learning rate');
  });

  it('that no run could take are refused before it is known which run', () => {
    const refusals: [string, RegExp][] = [
      [
        'cgfac:kl-clip=0.5',
        /klClip has no effect on normalized and self-tuning steps; it is an option of scheduled steps/,
      ],
      ['cgfac:momentum=0.5:kl-clip=0.5', /klClip has no effect on normalized and self-tuning steps/],
      [
        'cgfac:momentum=0.5:damping-interval=3',
        /dampingInterval has no effect on normalized steps; .* self-tuning steps/,
      ],
      ['cgfac:momentum=2', /momentum is 2/],
    ];
    for (const [spec, message] of refusals) expect(() => checkOptimizer(spec, {})).toThrow(message);
    for (const spec of ['cgfac:momentum=0.5', 'cgfac:damping-interval=3', 'kfac:prior-precision=0', 'sgd', 'cgfac']) {
      expect(() => checkOptimizer(spec, {})).not.toThrow();
    }
  });
});

describe('sharedFor', () => {
  it('gives the learning rate to first-order optimizers, damping and rank to those that have them', () => {
    const shared = { learningRate: 1, damping: 2, rank: 3 };
    expect(sharedFor('adam:beta1=0.5', shared)).toEqual({ learningRate: 1 });
    expect(sharedFor('adam:learning-rate=0.5', shared)).toEqual({});
    expect(sharedFor('kfac', shared)).toEqual({ damping: 2 });
    expect(sharedFor('cgfac', shared)).toEqual({ damping: 2, rank: 3 });
    expect(sharedFor('adam', { diagnostics: true })).toEqual({});
    expect(sharedFor('natural-gradient', { diagnostics: true })).toEqual({ diagnostics: true });
  });
});

it('lists every optimizer in the help', () => {
  for (const name of optimizerNames) expect(optimizerHelp()).toMatch(new RegExp(`^  ${name} `, 'm'));
});
