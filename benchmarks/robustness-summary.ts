// What a table of trained problems says: shares that the optimizer was finite on, and as good as Adam on.
import { isAbove } from '../test/support/train-problem.js';
import type { ProblemResult, Trained } from './robustness-run.js';

/** Of the first loss: a loss below it is as good as 0. */
const negligible = 1e-6;
const shown = 15;

interface Rated {
  readonly result: ProblemResult;
  readonly own: Trained;
  readonly isFinite: boolean;
  readonly isAboveFirst: boolean;
  /** To the Adam run of the lower training loss. */
  readonly toChosen: Ratios;
  /** To the lower of Adam's two, in training and held out each. */
  readonly toLower: Ratios;
  /** As `toLower` in training and `toChosen` held out, where losses that are negligible beside the first are equal. */
  readonly lenient: Ratios;
}

interface Ratios {
  readonly train: number;
  readonly test: number;
}

function rated(result: ProblemResult, optimizer: string): Rated[] {
  const own = result.own.find((run) => run.optimizer === optimizer);
  if (!own) return [];
  const loss = (value: number | null | undefined) => value ?? Number.POSITIVE_INFINITY;
  const ratio = (mine: number, other: number) => (mine === other ? 1 : mine / other);
  const [chosen] = [...result.adam].sort((x, y) => loss(x.train) - loss(y.train));
  const lowest = (split: 'train' | 'test') => Math.min(...result.adam.map((run) => loss(run[split])));
  const against = (trainLoss: number, testLoss: number): Ratios => ({
    train: ratio(loss(own.train), trainLoss),
    test: ratio(loss(own.test), testLoss),
  });
  const toLower = against(lowest('train'), lowest('test'));
  const toChosen = against(loss(chosen?.train), loss(chosen?.test));
  const floored = (split: 'train' | 'test', other: number) => {
    const floor = negligible * loss(result.first[split]);
    return Number.isFinite(floor) ? ratio(Math.max(loss(own[split]), floor), Math.max(other, floor)) : Number.NaN;
  };
  return [
    {
      result,
      own,
      isFinite: own.train !== null && own.test !== null,
      isAboveFirst: isAbove(own, result.first),
      toChosen,
      toLower,
      lenient: { train: floored('train', lowest('train')), test: floored('test', loss(chosen?.test)) },
    },
  ];
}

const share = (of: readonly Rated[], holds: (rated: Rated) => boolean): string =>
  `${((100 * of.filter(holds).length) / Math.max(1, of.length)).toFixed(1)} %`;
function geometricMean(ratios: readonly number[]): string {
  const finite = ratios.filter((ratio) => Number.isFinite(ratio) && ratio > 0);
  return Math.exp(finite.reduce((sum, ratio) => sum + Math.log(ratio), 0) / Math.max(1, finite.length)).toFixed(2);
}

const isTrained = ({ train }: Ratios) => train <= 1.1;
const generalizes = ({ test }: Ratios) => test <= 1.15;

export function printSummary(optimizer: string, results: readonly ProblemResult[]): void {
  const all = results.flatMap((result) => rated(result, optimizer));
  const seconds = all.reduce((sum, { own }) => sum + own.seconds, 0);
  console.log(`\n== ${optimizer}: ${all.length} problems, ${seconds.toFixed(0)} s`);
  console.log(`not finite: ${all.filter((one) => !one.isFinite).length}`);
  console.log(
    `finite, final training loss above the first: ${all.filter((one) => one.isFinite && one.isAboveFirst).length}`,
  );
  const lines = (what: string, holds: (result: ProblemResult) => boolean) => {
    const some = all.filter(({ result }) => holds(result));
    console.log(`${what}: ${some.length} problems; strictly, and with losses below 1e-6 of the first equal`);
    const trained = (which: (one: Rated) => Ratios) => share(some, (one) => isTrained(which(one)));
    const general = (which: (one: Rated) => Ratios) => share(some, (one) => generalizes(which(one)));
    console.log(
      `  training loss <= 1.1 x best Adam's: ${trained((one) => one.toLower)}, ${trained((one) => one.lenient)}`,
    );
    console.log(
      `  held-out loss <= 1.15 x that of the Adam of lower training loss: ${general((one) => one.toChosen)}, ${general((one) => one.lenient)}`,
    );
    console.log(`  held-out loss <= 1.15 x the lower of Adam's two: ${general((one) => one.toLower)}`);
    const [train, test] = (['train', 'test'] as const).map((split) =>
      geometricMean(some.map((one) => one.lenient[split])),
    );
    console.log(
      `  geometric means, losses below 1e-6 of the first counted as that: training ${train}, held-out ${test} x that Adam's`,
    );
  };
  lines('all', () => true);
  for (const kind of ['classification', 'regression']) lines(kind, (result) => result.kind === kind);
  lines('normalized by the default', ({ normalize }) => normalize);
  lines('normalize: false', ({ normalize }) => !normalize);
  printTraits(all);
  printWorst('training', all, ({ lenient }) => lenient.train);
  printWorst('held-out', all, ({ lenient }) => lenient.test);
}

function printTraits(all: readonly Rated[]): void {
  console.log(
    'by trait: problems, not finite, above first, training > 1.1 x, held-out > 1.15 x (to the Adam of lower training loss)',
  );
  const traits = new Set(all.flatMap(({ result }) => result.traits));
  for (const trait of [...traits].sort()) {
    const some = all.filter(({ result }) => result.traits.includes(trait));
    const counts = [
      some.length,
      some.filter((one) => !one.isFinite).length,
      some.filter((one) => one.isFinite && one.isAboveFirst).length,
      some.filter((one) => !isTrained(one.lenient)).length,
      some.filter((one) => !generalizes(one.lenient)).length,
    ];
    console.log(`  ${trait.padEnd(32)} ${counts.map((count) => String(count).padStart(4)).join('')}`);
  }
}

function printWorst(what: string, all: readonly Rated[], ratio: (rated: Rated) => number): void {
  console.log(`worst by ${what} loss: ratio; own, Adam 1e-3, Adam 1e-2 (training/held-out); first`);
  const number = (value: number | null) => (value === null ? 'NaN' : value.toPrecision(3));
  const losses = (run: Trained) => `${number(run.train)}/${number(run.test)}`;
  for (const one of [...all].sort((x, y) => ratio(y) - ratio(x)).slice(0, shown)) {
    const { result, own } = one;
    const runs = [own, ...result.adam].map(losses).join('  ');
    const raw = result.normalize ? '' : ' raw';
    console.log(
      `  x${ratio(one).toPrecision(3).padEnd(9)} ${runs}  first ${number(result.first.train)}  | ${result.name} [${result.traits.join(', ')}]${raw}`,
    );
  }
}
