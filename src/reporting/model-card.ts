// The model card beside a trained model: a README.md, with the front matter that the Hugging Face hub reads, of what the model takes and
// gives, how it was made, what it came to, and how to use it.
import { formatCount, formatMetric, formatSeconds, words } from '../format.js';
import { formatType } from '../graph/graph.js';
import type { DataType } from '../graph/tensor.js';
import type { Model } from '../model/model.js';
import type { RunRecord } from '../training/run-record.js';
import { remarks, stepsDone } from '../training/verdict.js';
import { againstBaseline } from './baseline.js';
import { ownLine } from './own-card.js';

export interface ModelCard {
  /** The name of the model. */
  readonly title: string;
  /** The specification of the data. */
  readonly data: string;
  readonly sizes: { readonly train: number; readonly test: number; readonly validation?: number };
  readonly kind: 'classification' | 'autoencoding' | 'regression';
  readonly isOfPictures: boolean;
  /** Names of the classes, if there are any. */
  readonly classes?: readonly string[];
  readonly model: Model;
  /** Number of trained numbers. */
  readonly parameters: number;
  readonly loss: string;
  readonly seed: number;
  readonly record: RunRecord;
  /** What a user of the model must know, a sentence each: what it normalizes, warnings. */
  readonly notes: readonly string[];
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Return the text of the card. */
export function modelCard(card: ModelCard): string {
  const { title, data, record, command, environment, notes } = card;
  const sections = [
    `${frontMatter(card)}\n\n${ownLine}`,
    `# ${title}\n\nAn ONNX model, trained on \`${data}\` with ${code(record.name)}.`,
    `## Results\n\n${results(card)}`,
    `## The model\n\n${shape(card)}`,
    `## How to use it\n\n${usage(card)}`,
    `## How it was made\n\n\`\`\`sh\n${command}\n\`\`\`\n\n${list([
      `data: \`${data}\`, ${Object.entries(card.sizes)
        .map(([set, size]) => `${formatCount(size)} examples to ${purposes[set] ?? set}`)
        .join(', ')}`,
      `loss ${card.loss}, optimizer ${code(record.name)}, batches of ${record.batchSize}, seed ${card.seed}`,
      `${stepsDone(record)} in ${formatSeconds(record.seconds)}`,
      Object.entries(environment)
        .map(([name, value]) => `${name} ${value}`)
        .join(', '),
    ])}`,
    `## Limits\n\n${list([
      ...notes,
      ...remarks(record),
      'It was measured on the test set above and on nothing else: on data of another source expect other figures.',
      'cgfac knows nothing of where the data come from, whom they show, and under what terms they may be used: add that here.',
    ])}`,
  ];
  return `${sections.join('\n\n')}\n`;
}

const purposes: Readonly<Record<string, string>> = {
  train: 'train on',
  test: 'test on',
  validation: 'choose the parameters by',
};

const code = (text: string): string => `\`${text}\``;
const list = (items: readonly string[]): string => items.map((item) => `- ${item}`).join('\n');
/** A text of YAML: JSON's are. */
const yaml = (value: string): string => JSON.stringify(value);

const pipelines = {
  classification: 'image-classification',
  autoencoding: 'image-to-image',
  regression: undefined,
} as const;

function frontMatter({ title, data, kind, isOfPictures, record }: ModelCard): string {
  const pipeline = isOfPictures ? pipelines[kind] : kind === 'autoencoding' ? undefined : `tabular-${kind}`;
  const metrics = Object.entries(record.test).filter(([, value]) => Number.isFinite(value));
  return [
    '---',
    'library_name: onnx',
    ...(pipeline === undefined ? [] : [`pipeline_tag: ${pipeline}`]),
    'tags:',
    ...['onnx', 'cgfac', kind].map((tag) => `- ${tag}`),
    'model-index:',
    `- name: ${yaml(title)}`,
    '  results:',
    `  - task:\n      type: ${pipeline ?? kind}`,
    `    dataset:\n      name: ${yaml(data)}\n      type: ${yaml(data.split(':')[0] ?? data)}\n      split: test`,
    '    metrics:',
    ...metrics.map(([name, value]) => `    - type: ${yaml(words(name).replaceAll(' ', '-'))}\n      value: ${value}`),
    '---',
  ].join('\n');
}

function results({ record }: ModelCard): string {
  const sets = (['train', 'validation', 'test'] as const).filter((set) => record[set] !== undefined);
  const names = Object.keys(record.test);
  const row = (name: string) => sets.map((set) => formatMetric(name, record[set]?.[name] ?? Number.NaN)).join(' | ');
  const rows = names.map((name) => `| ${words(name)} | ${row(name)} |`);
  const head = `| | ${sets.join(' | ')} |\n|---|${sets.map(() => '---:').join('|')}|`;
  const baseline = againstBaseline(record);
  return `${head}\n${rows.join('\n')}${baseline ? `\n\n${baseline.note}` : ''}`;
}

function shape({ model, parameters, classes, kind }: ModelCard): string {
  const describe = (name: string, type: Parameters<typeof formatType>[0]) => `\`${name}\`, \`${formatType(type)}\``;
  const { inputs, outputs } = model.graph;
  const shown = classes && kind === 'classification' ? classes.slice(0, mostClasses) : [];
  const rest = (classes?.length ?? 0) - shown.length;
  return list([
    `${formatCount(parameters)} parameters`,
    ...inputs.map(({ name, knownType }) => `input ${describe(name, knownType)}`),
    ...outputs.map(({ name, value }) => `output ${describe(name, value.knownType)}`),
    ...(shown.length > 0
      ? [`classes, in the order of the output: ${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`]
      : []),
  ]);
}

const mostClasses = 100;

const numpyTypes: Partial<Record<DataType, string>> = {
  float32: 'np.float32',
  float64: 'np.float64',
  int64: 'np.int64',
  int32: 'np.int32',
};
const arrayTypes: Partial<Record<DataType, string>> = {
  float32: 'Float32Array',
  float64: 'Float64Array',
  int64: 'BigInt64Array',
  int32: 'Int32Array',
};

const importLine = "import { InferenceSession, Tensor } from 'onnxruntime-node';";

/** One example of zeros in Python and in JavaScript. */
function usage({ model }: ModelCard): string {
  const inputs = model.graph.inputs.map(({ name, knownType }) => {
    const dims = (knownType?.shape ?? []).map((size) => (typeof size === 'number' ? size : 1));
    return {
      name: JSON.stringify(name),
      dims,
      dtype: knownType?.dtype ?? 'float32',
      size: dims.reduce((a, b) => a * b, 1),
    };
  });
  const python = inputs.map(
    ({ name, dims, dtype }) => `    ${name}: np.zeros([${dims.join(', ')}], ${numpyTypes[dtype] ?? `"${dtype}"`}),`,
  );
  const script = inputs.map(
    ({ name, dims, dtype, size }) =>
      `  ${name}: new Tensor('${dtype}', new ${arrayTypes[dtype] ?? 'Float32Array'}(${size}), [${dims.join(', ')}]),`,
  );
  return `With [ONNX Runtime](https://onnxruntime.ai) in Python:

\`\`\`python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
outputs = session.run(None, {
${python.join('\n')}
})
print(outputs[0].shape)
\`\`\`

In JavaScript:

\`\`\`js
${importLine}

const session = await InferenceSession.create('model.onnx');
const outputs = await session.run({
${script.join('\n')}
});
console.log(outputs[session.outputNames[0]].dims);
\`\`\``;
}
