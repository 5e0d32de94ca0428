// Data that studies make by a seed, so that they run from a clean clone: smaller pictures, tables, and a text of a grammar.
import { type DataSplits, type Dataset, dataset, onlyInput } from '../data/dataset.js';
import { textSplits } from '../data/readers/text.js';
import { type Random, random } from '../random.js';

/** Return pictures of half the height and width: each pixel is the mean of four. */
export function halvedPictures({ train, test }: DataSplits): DataSplits {
  return { train: halved(train), test: halved(test) };
}

function halved(set: Dataset): Dataset {
  const { data, ...column } = onlyInput(set);
  const { width = 0, height = 0 } = set.picture ?? {};
  const [half, tall] = [width / 2, height / 2];
  const scale = 'scale' in column ? column.scale : 1;
  const pixels = new Float32Array(set.size * half * tall);
  for (let i = 0; i < pixels.length; i++) {
    const [x, y] = [i % half, Math.floor(i / half) % tall];
    const corner = Math.floor(i / (half * tall)) * width * height + 2 * y * width + 2 * x;
    const sum = [0, 1, width, width + 1].reduce((all, offset) => all + Number(data[corner + offset]), 0);
    pixels[i] = (scale * sum) / 4;
  }
  return {
    ...set,
    inputs: { dtype: 'float32', shape: [half * tall], data: pixels },
    picture: { width: half, height: tall, channels: 1 },
  };
}

/** Inputs of a table in units of their own: columns differ in scale by up to 10⁴, and are not centred. */
interface Table {
  readonly hidden: Float32Array;
  readonly shown: Float32Array;
}

function table(stream: Random, rows: number, columns: number, draw: 'fillNormal' | 'fillUniform'): Table {
  const hidden = new Float32Array(rows * columns);
  stream[draw](hidden);
  const scales = Array.from({ length: columns }, () => 10 ** (4 * stream.uniform() - 2));
  const shifts = Array.from({ length: columns }, () => 2 * stream.normal());
  const shown = hidden.map((value, i) => (scales[i % columns] ?? 1) * (value + (shifts[i % columns] ?? 0)));
  return { hidden, shown };
}

const splitAt = (set: Dataset, size: number, columns: number): DataSplits => {
  const { inputs, targets } = set;
  const rest = <Column extends Dataset['targets']>(column: Column, width: number): Column => ({
    ...column,
    data: column.data.subarray(size * width),
  });
  return {
    train: dataset({ ...set, name: `${set.name} train`, size }),
    test: dataset({
      ...set,
      name: `${set.name} validation`,
      size: set.size - size,
      inputs: rest(inputs as Dataset['targets'], columns), // one column
      targets: rest(targets, 1),
    }),
  };
};

/**
 * Return a table whose classes are those of a random network of one tanh layer on the standardized columns; one label in twenty
 * is drawn at random.
 */
export function madeClasses(seed: number, train: number, test: number): DataSplits {
  const [columns, hiddenUnits, classes] = [20, 16, 5];
  const stream = random(seed, 'classes of a table');
  const size = train + test;
  const { hidden, shown } = table(stream, size, columns, 'fillNormal');
  const first = new Float32Array(columns * hiddenUnits);
  const second = new Float32Array(hiddenUnits * classes);
  stream.fillNormal(first, 0, 1.5 / Math.sqrt(columns));
  stream.fillNormal(second);
  const labels = new Int32Array(size);
  for (let row = 0; row < size; row++) {
    const units = Array.from({ length: hiddenUnits }, (_, unit) => {
      let sum = 0;
      for (let i = 0; i < columns; i++) sum += (hidden[row * columns + i] ?? 0) * (first[i * hiddenUnits + unit] ?? 0);
      return Math.tanh(sum);
    });
    const logits = Array.from({ length: classes }, (_, label) =>
      units.reduce((sum, unit, i) => sum + unit * (second[i * classes + label] ?? 0), 0),
    );
    labels[row] = stream.uniform() < 0.05 ? stream.integer(classes) : logits.indexOf(Math.max(...logits));
  }
  const set = dataset({
    name: 'made classes',
    size,
    inputs: { dtype: 'float32', shape: [columns], data: shown },
    targets: { dtype: 'int64', shape: [], data: labels },
    classes: Array.from({ length: classes }, (_, label) => `class ${label}`),
  });
  return splitAt(set, train, columns);
}

/** Return a table with y = 10 sin(πx₁x₂) + 20(x₃ − ½)² + 10x₄ + 5x₅ + noise (Friedman 1991), 5 of its 10 columns without effect. */
export function madeNumbers(seed: number, train: number, test: number): DataSplits {
  const columns = 10;
  const stream = random(seed, 'numbers of a table');
  const size = train + test;
  const { hidden, shown } = table(stream, size, columns, 'fillUniform');
  const targets = Float32Array.from({ length: size }, (_, row) => {
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = hidden.subarray(row * columns, row * columns + 5);
    return 10 * Math.sin(Math.PI * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e + stream.normal();
  });
  const set = dataset({
    name: 'made numbers',
    size,
    inputs: { dtype: 'float32', shape: [columns], data: shown },
    targets: { dtype: 'float32', shape: [1], data: targets },
  });
  return splitAt(set, train, columns);
}

const nouns = ['dog', 'cat', 'bird', 'child', 'farmer', 'river', 'stone', 'wolf', 'queen', 'baker'];
const adjectives = ['old', 'small', 'quiet', 'green', 'clever', 'lonely'];
const transitive = ['see', 'follow', 'hear', 'find', 'remember', 'avoid'];
const intransitive = ['sleep', 'sing', 'wait', 'fall', 'laugh'];
const adverbs = ['slowly', 'again', 'at night', 'near the sea', 'without fear'];

/**
 * Return the text of a grammar: sentences whose verbs agree with their subjects across relative clauses, up to two of them
 * nested.
 */
export function grammarText(seed: number, characters: number): string {
  const stream = random(seed, 'grammar');
  const one = (words: readonly string[]) => words[stream.integer(words.length)] ?? '';
  const plural = (noun: string) => (noun === 'child' ? 'children' : noun === 'wolf' ? 'wolves' : `${noun}s`);
  const verb = (word: string, many: boolean) => (many ? word : `${word}s`);
  const phrase = (depth: number): { text: string; many: boolean } => {
    const many = stream.uniform() < 0.4;
    const noun = one(nouns);
    const adjective = stream.uniform() < 0.4 ? `${one(adjectives)} ` : '';
    const head = `${many && stream.uniform() < 0.5 ? 'some' : 'the'} ${adjective}${many ? plural(noun) : noun}`;
    if (depth === 2 || stream.uniform() > 0.3) return { text: head, many };
    const inner = phrase(depth + 1);
    const clause =
      stream.uniform() < 0.5
        ? `that ${verb(one(transitive), many)} ${inner.text}`
        : `that ${inner.text} ${verb(one(transitive), inner.many)}`;
    return { text: `${head} ${clause}`, many };
  };
  const sentence = () => {
    const subject = phrase(0);
    const action =
      stream.uniform() < 0.5
        ? verb(one(intransitive), subject.many)
        : `${verb(one(transitive), subject.many)} ${phrase(1).text}`;
    const end = stream.uniform() < 0.4 ? ` ${one(adverbs)}` : '';
    return `${subject.text} ${action}${end}.`;
  };
  let text = '';
  while (text.length < characters) text += `${sentence()}${stream.uniform() < 0.2 ? '\n' : ' '}`;
  return text.slice(0, characters);
}

/** Return windows of the text of a grammar. */
export const madeText = (seed: number, characters: number, context: number): DataSplits =>
  textSplits(new TextEncoder().encode(grammarText(seed, characters)), 'the text of a grammar', { context });
