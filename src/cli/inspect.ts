// `cgfac inspect`: a model's layers, the Kronecker block of each and its cost, and the parameters left to first order.
import { Command, Option } from 'commander';
import type { BlockTable } from '../curvature/blocks.js';
import { sideForms } from '../curvature/factors/sides.js';
import { oneExample } from '../curvature/kronecker-blocks.js';
import { someNames } from '../data/align.js';
import { formatBytes, formatCount, formatNumber } from '../format.js';
import { formatType } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { usesIn } from '../graph/uses.js';
import { isTypeReason } from '../model/classify.js';
import { parameterReaders } from '../model/edit/dense-layers.js';
import { normalizationOf, normalizedInput } from '../model/edit/normalize.js';
import { targetNormalizationOf } from '../model/edit/target-normalization.js';
import { isFileModel } from '../model/file-model.js';
import { meaningOf } from '../model/meaning.js';
import type { Model } from '../model/model.js';
import { describeNormalization } from '../normalization.js';
import { flopsOf } from '../ops/table.js';
import { defaultRank } from '../optimizers/second-order/factors.js';
import { debugFlag } from './debug-flag.js';
import { modelHelp, openModel } from './models.js';
import { number } from './number.js';
import { aligned } from './output.js';

const examples = `
${modelHelp()}

Examples
  cgfac inspect autoencoder
  cgfac inspect classifier.onnx --rank 64
  cgfac inspect char-transformer:layers=2:width=64
  cgfac inspect mlp --graph`;

interface InspectFlags {
  readonly rank: number;
  readonly graph?: boolean;
}

export function command(): Command {
  return new Command('inspect')
    .description('Show the layers of a model, the Kronecker block of each layer, and its cost')
    .argument('<model>', 'a built-in model or an .onnx file')
    .addOption(
      new Option('--rank <r>', 'number of rows R that cgfac keeps for each factor')
        .argParser(number('--rank', { atLeast: 1, integer: true }))
        .default(defaultRank),
    )
    .option('--graph', 'print the graph instead')
    .addOption(debugFlag())
    .addHelpText('after', examples)
    .action(run);
}

async function run(name: string, { rank, graph }: InspectFlags): Promise<void> {
  const model = (await openModel(name))(0);
  if (graph) {
    const { printGraph } = await import('../graph/print.js');
    console.log(printGraph(model.graph));
    return;
  }
  console.log(describeModel(model, rank, process.stdout.columns).join('\n'));
}

/** Return lines about a model. @param width columns of the terminal that the table of blocks is to fit */
export function describeModel(model: Model, rank: number, width = Number.POSITIVE_INFINITY): string[] {
  const { graph, parameters } = model;
  const total = [...parameters.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
  const { table, nodes, sizes } = oneExample(model);
  const assumed = [...sizes].map(([name, size]) => `${name} = ${size}`).join(', ');
  const flops = nodes.reduce((sum, node) => sum + flopsOf(node), 0);
  const normalization = normalizationOf(model);
  const targets = targetNormalizationOf(model);
  const averages = model.statistics.size;
  const { columns, target, classes } = meaningOf(model);
  return [
    model.name,
    ...(isFileModel(model) ? [`  file    opset ${model.opset}${model.halfPrecision ? halfPrecision : ''}`] : []),
    ...graph.inputs.flatMap(({ name, knownType }) => [
      `  input   ${name}: ${formatType(knownType)}`,
      ...(normalization && name === normalizedInput(model)
        ? [`          normalized first, by ${describeNormalization(normalization)}`]
        : []),
      ...(columns ? [`          columns ${someNames(columns.map((column) => column.name))}`] : []),
    ]),
    ...graph.outputs.flatMap(({ name, value }, i) => [
      `  output  ${name}: ${formatType(value.knownType)}`,
      ...(targets && i === 0
        ? [`          in the units of the data, learned standardized by ${describeNormalization(targets)}`]
        : []),
      ...(target !== undefined && i === 0 ? [`          predicts ${someNames([target])}`] : []),
      ...(classes && i === 0 ? [`          classes ${someNames(classes)}`] : []),
    ]),
    `  ${formatCount(parameters.size)} parameter tensors, ${formatCount(total)} parameters${averages === 0 ? '' : `, ${formatCount(averages)} running averages`}`,
    `  ${formatNumber(flops)} floating-point operations an example forward${assumed && ` (${assumed})`}`,
    '',
    ...blockLines(table, rank, width),
    '',
    ...restLines(model, table),
    ...sharedLines(model),
    ...fixedLines(model),
  ];
}

const halfPrecision = ', 16-bit floats (trained in float32)';

function blockLines({ blocks }: BlockTable, rank: number, width: number): string[] {
  if (blocks.length === 0) return ['No Kronecker block: cgfac and kfac have nothing to work on here.'];
  const rows = blocks.map((block) => {
    const { weight, bias, groups, inputs, outputs, description } = block;
    const m = inputs + (bias === undefined ? 0 : 1);
    const each = groups === 1 ? '' : `${groups} of `;
    const forms = sideForms(block, rank);
    const [left, right] = [keptOf(m, forms.inputs, rank), keptOf(outputs, forms.outputs, rank)];
    return [
      weight + (bias === undefined ? '' : ` + ${besideWeight(weight, bias)}`),
      description,
      `${each}${m} × ${outputs}`,
      `${each}${left.text} ⊗ ${right.text}`,
      formatBytes(4 * groups * (left.elements + right.elements)),
      // the factors and their inverses
      formatBytes(8 * groups * ((forms.inputs === 'diagonal' ? m : m * m) + outputs * outputs)),
    ];
  });
  const header = ['Kronecker block', 'layer', 'size', `cgfac keeps (R = ${rank})`, 'cgfac memory', 'kfac memory'];
  const table = aligned([header, ...rows], 4);
  if (table.every(({ length }) => length <= width)) return table;
  // Each name gets its own line.
  const numbers = aligned(
    [header, ...rows].map((row) => row.slice(1)),
    3,
  );
  return [header, ...rows].flatMap(([name = ''], i) => [name, `    ${numbers[i]}`]);
}

/** The name of a bias beside its weight: `fc.weight + bias`. */
function besideWeight(weight: string, bias: string): string {
  const module = weight.slice(0, weight.lastIndexOf('.') + 1);
  return module !== '' && bias.startsWith(module) ? bias.slice(module.length) : bias;
}

/** The text and the number of elements of what cgfac keeps of a factor of m × m. */
function keptOf(m: number, form: 'dense' | 'rows' | 'diagonal', rank: number): { text: string; elements: number } {
  if (form === 'dense') return { text: `${m}×${m}`, elements: m * m };
  return form === 'rows'
    ? { text: `${rank}×${m} rows`, elements: rank * m }
    : { text: `diagonal of ${m}`, elements: m };
}

function restLines(model: Model, { rest }: BlockTable): string[] {
  if (rest.size === 0) return ['Every parameter is in a block.'];
  const lines = [...rest].map(([name, reason]) => [name, formatType(model.parameters.get(name)?.type), reason]);
  return ['Left to first order (Adam):', ...aligned(lines, 3).map((line) => `  ${line}`)];
}

/** Parameters that several layers read: by design, or because an exporter stored equal tensors once. */
function sharedLines(model: Model): string[] {
  const uses = usesIn(model.graph);
  const lines = [...model.parameters.keys()].flatMap((name) => {
    const readers = parameterReaders(model, name, uses);
    if (readers.length < 2) return [];
    return [`  ${name}: read by ${listed(readers.map((node) => node.name || node.op))}`];
  });
  return lines.length === 0 ? [] : ['', 'Stored once for several layers, and trained as one:', ...lines];
}

/** Stored tensors that are not trained, and why; integers (positions, shapes) are left out. */
function fixedLines(model: Model): string[] {
  const names = new Map<string, string[]>();
  for (const [name, reason] of isFileModel(model) ? model.untrained : []) {
    if (isTypeReason(reason)) continue;
    names.set(reason, [...(names.get(reason) ?? []), name]);
  }
  if (names.size === 0) return [];
  const lines = [...names].map(([reason, fixed]) => `  ${listed(fixed)}: ${reason.replace(/^it (is )?/, '')}`);
  return ['', 'Held fixed, as the file stores it:', ...lines];
}

const listed = (names: readonly string[]): string =>
  names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
