// When the curvature is measured, and what a branch that runs at some steps keeps, makes and reports.
import { describe, expect, it } from 'vitest';
import { declaredStep } from '../../../test/support/declared-step.js';
import { FedBuilder } from '../../../test/support/fed-builder.js';
import type { StepContext } from '../optimizer.js';
import { RefreshSchedule, refreshed } from './refresh.js';

/** The steps that measure, of those whose fates are given. */
function measuredSteps(schedule: RefreshSchedule, accepted: readonly number[]): number[] {
  return accepted.flatMap((fate, step) => {
    const { isDue } = schedule;
    schedule.observe(step, { accepted: fate });
    return isDue ? [step] : [];
  });
}

describe('a schedule of measurements', () => {
  it('measures all steps of the burn-in, then every so many', () => {
    expect(measuredSteps(new RefreshSchedule(4, 3), Array(13).fill(1))).toEqual([0, 1, 2, 6, 10]);
  });

  it('measures after a step that was taken back, and begins to count there', () => {
    //                                                     0  1  2  3  4  5  6  7  8
    expect(measuredSteps(new RefreshSchedule(4, 1), [1, 1, 0, 0, 1, 1, 1, 1, 1])).toEqual([0, 3, 4, 8]);
  });

  it('does not count a measurement that was taken back', () => {
    const schedule = new RefreshSchedule(4, 2);
    expect(measuredSteps(schedule, [0, 1, 1, 1, 0])).toEqual([0, 1, 2]);
    expect(schedule.measured).toBe(2);
    expect(schedule.elapsed).toBe(2);
  });

  it('goes on from its snapshot', () => {
    const [whole, first, second] = [new RefreshSchedule(3, 2), new RefreshSchedule(3, 2), new RefreshSchedule(3, 2)];
    const fates = [1, 1, 1, 0, 1, 1, 1, 1, 1, 1];
    const expected = measuredSteps(whole, fates);
    const before = measuredSteps(first, fates.slice(0, 5));
    second.restore(first.snapshot());
    expect([...before, ...measuredSteps(second, fates.slice(5)).map((step) => step + 5)]).toEqual(expected);
  });
});

describe('a branch that runs at some steps', () => {
  const run = async (due: number) => {
    const b = new FedBuilder();
    const step = declaredStep(b, { step: 5, state: { sum: [2, 3], twice: [5, 6], numbers: [8, 9] } });
    const context = { b, ...step.declare } as unknown as StepContext; // a branch asks for no more
    const runs = b.greater(b.reshape(b.given([1], [due]), []), 0.5);
    const { made, kept } = refreshed(context, 'numbers', runs, undefined, (inner) => {
      const sum = inner.state('sum', [2], (old) => inner.b.add(old, 1));
      const total = inner.b.sum(sum);
      const [square, twice, one] = [inner.b.square(total), inner.b.mul(sum, 2), inner.b.scalar(1, 'float64')];
      inner.report('size', square);
      const keeps = new Map(Object.entries({ total, square, twice, sum, one }));
      return { sum, total, square, twice, one, other: inner.b.mul(sum, 3), keeps };
    });
    // A state is kept once, a constant not at all, and numbers in one state.
    expect([...step.states.keys()]).toEqual(['sum', 'twice', 'numbers']);
    expect(() => kept(made.other)).toThrow('is not kept');
    const { sum, total, square, twice, one } = made;
    return b.compute({
      ...{ sum: kept(sum), total: kept(total), square: kept(square), twice: kept(twice), one: kept(one) },
      ...{ size: step.reports.get('size') ?? square, next: step.states.get('sum') ?? sum },
    });
  };

  it('changes its states and keeps what it makes when it runs', async () => {
    expect(await run(1)).toEqual({
      ...{ sum: [3, 4], total: [7], square: [49], twice: [6, 8], one: [1], size: [49], next: [3, 4] },
    });
  });

  it('keeps them when it does not, and reports that nothing was measured', async () => {
    expect(await run(0)).toEqual({
      ...{ sum: [2, 3], total: [8], square: [9], twice: [5, 6], one: [1], size: [Number.NaN], next: [2, 3] },
    });
  });
});
