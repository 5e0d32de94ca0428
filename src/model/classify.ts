// Which of a file's tensors are trained: ONNX stores weights, running averages and plain constants side by side, so it
// is their use that tells.
import type { Graph, Node, Value } from '../graph/graph.js';
import { subgraphs } from '../graph/graph.js';
import { isModulePath } from '../onnx/exporter-names.js';

export interface ClassifiedInitializers {
  /** Trained. */
  readonly parameters: ReadonlyMap<string, Value>;
  /** Running means and variances of batch normalization: updated, not trained. */
  readonly statistics: ReadonlyMap<string, Value>;
  /** Neither, each with the reason. */
  readonly constants: ReadonlyMap<string, string>;
}

/** Inputs that hold settings or limits rather than weights, by operator. */
const settings: Readonly<Record<string, readonly number[]>> = {
  Clip: [1, 2],
  Dropout: [1, 2],
  OneHot: [0, 1, 2],
  Pad: [1, 2, 3],
  Pow: [1],
  Range: [0, 1, 2],
  Resize: [1, 2, 3],
  Equal: [0, 1],
  Less: [0, 1],
  LessOrEqual: [0, 1],
  Greater: [0, 1],
  GreaterOrEqual: [0, 1],
  QuantizeLinear: [0, 1, 2],
  DequantizeLinear: [0, 1, 2],
  QLinearConv: [0, 1, 2, 3, 4, 5, 6, 7, 8],
  QLinearMatMul: [0, 1, 2, 3, 4, 5, 6, 7],
};

/** Operators whose weights may be a single number; elsewhere it is rather a constant of a formula (√2, ½, ε). */
const layers = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'Einsum', 'Gather', 'PRelu']);

const normalizations = new Set([
  'BatchNormalization',
  'GroupNormalization',
  'InstanceNormalization',
  'LayerNormalization',
]);

/** Masks are added to scores: −∞, or the most negative number of the type. No weight comes near it. */
const largestWeight = 1e30;

interface Use {
  readonly node: Node;
  readonly index: number;
}

/** Sorts the tensors that a file stores with its graph. */
export function classifyInitializers(graph: Graph, initializers: readonly Value[]): ClassifiedInitializers {
  const uses = new Map<Value, Use[]>();
  collectUses(graph, uses);
  const preprocessing = preprocessingOf(graph);
  const parameters = new Map<string, Value>();
  const statistics = new Map<string, Value>();
  const constants = new Map<string, string>();
  for (const value of initializers) {
    const found = usesOf(value, uses);
    if (found.length > 0 && found.every(isStatistic)) statistics.set(value.name, value);
    else {
      const reason = whyConstant(value, found);
      if (reason === undefined) parameters.set(value.name, value);
      else constants.set(value.name, reason);
    }
  }
  const fixed = new Map(
    [...parameters].flatMap(([name, value]) => {
      const input = isLayerName(name) ? undefined : appliedTo(value, uses, preprocessing);
      return input === undefined ? [] : [[name, input] as const];
    }),
  );
  // Where nothing else could be trained, that is what the model is for.
  if (fixed.size < parameters.size) {
    for (const [name, input] of fixed) {
      parameters.delete(name);
      constants.set(name, `it is applied to the input '${input}' itself, as a normalization of the data is`);
    }
  }
  return { parameters, statistics, constants };
}

const arithmetic = new Set(['Add', 'Sub', 'Mul', 'Div']);
/** Operators that change the arrangement or the type of a tensor, not its numbers. */
const movement = new Set(['Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose']);

/**
 * The arithmetic that is done to the model's inputs, before any layer, with stored numbers of one axis at most: (x − mean)
 * / deviation, x · scale. By node, the name of the input. A stored tensor of several axes is rather an embedding of
 * positions, added to inputs that are tokens already.
 */
function preprocessingOf(graph: Graph): Map<Node, string> {
  const applied = new Map<Node, string>();
  const moved = new Map(graph.inputs.map((input) => [input, input.name]));
  for (const node of graph.nodes) {
    const [first, second] = node.inputs;
    const [output] = node.outputs;
    if (node.domain !== '' || !first || !output) continue;
    const input = moved.get(first) ?? (second && moved.get(second));
    if (input === undefined) continue;
    const stored = moved.has(first) ? second : first;
    if (arithmetic.has(node.op) && stored && isPerChannel(stored)) applied.set(node, input);
    else if (!movement.has(node.op) || !moved.has(first)) continue;
    moved.set(output, input);
  }
  return applied;
}

/** Whether a value is a stored tensor with no more than one axis of several elements, perhaps arranged anew. */
function isPerChannel(value: Value): boolean {
  let source: Value | undefined = value;
  while (source?.producer && movement.has(source.producer.op)) [source] = source.producer.inputs;
  return source?.constant !== undefined && source.constant.dims.filter((size) => size > 1).length <= 1;
}

/** The input that a tensor is applied to, where that is all that it is used for. */
function appliedTo(
  value: Value,
  uses: ReadonlyMap<Value, readonly Use[]>,
  preprocessing: ReadonlyMap<Node, string>,
): string | undefined {
  const inputs = usesOf(value, uses, movement).map(({ node }) => preprocessing.get(node));
  return inputs.every((input) => input !== undefined) ? inputs[0] : undefined;
}

/** Names that layers give to what they learn: an affine layer at the input is trained. */
const isLayerName = (name: string): boolean => /(^|\.)(weight|bias|gamma|beta)$/.test(name);

function collectUses(graph: Graph, uses: Map<Value, Use[]>): void {
  for (const node of graph.nodes) {
    for (const [index, input] of node.inputs.entries()) {
      if (!input) continue;
      const known = uses.get(input);
      if (known) known.push({ node, index });
      else uses.set(input, [{ node, index }]);
    }
    for (const body of subgraphs(node)) collectUses(body, uses);
  }
}

/** Uses of a tensor; through Identity nodes too, which exporters write for tensors of equal contents. */
function usesOf(
  value: Value,
  uses: ReadonlyMap<Value, readonly Use[]>,
  through: ReadonlySet<string> = new Set(['Identity']),
): Use[] {
  const found: Use[] = [];
  const pending = [value];
  for (let next = pending.pop(); next; next = pending.pop()) {
    for (const use of uses.get(next) ?? []) {
      if (through.has(use.node.op) && use.index === 0 && use.node.domain === '') pending.push(...use.node.outputs);
      else found.push(use);
    }
  }
  return found;
}

const isStatistic = ({ node, index }: Use): boolean => node.op === 'BatchNormalization' && (index === 3 || index === 4);

const typeReason = 'its elements are of type';

/** Whether a tensor is constant because it has no floating-point numbers: positions, shapes, switches. */
export const isTypeReason = (reason: string): boolean => reason.startsWith(typeReason);

function whyConstant(value: Value, uses: readonly Use[]): string | undefined {
  const { dtype, constant } = value;
  if (dtype !== 'float32' && dtype !== 'float64') return `${typeReason} ${dtype}`;
  if (uses.length === 0) return 'no node reads it';
  const learned = uses.filter(
    ({ node, index }) => !settings[node.op]?.includes(index) && !isStatistic({ node, index }),
  );
  const [first] = uses;
  if (learned.length === 0 && first) return `it is a setting of ${first.node.op}`;
  if (!constant) return undefined;
  const elements = constant.data as Float32Array | Float64Array;
  if (elements.length === 0) return 'it has no elements';
  if (!elements.every((element) => Math.abs(element) < largestWeight)) return 'it holds infinite numbers, as masks do';
  if (/(^|\.)(inv_freq|(cos|sin)_cached)$/.test(value.name))
    return 'it is the table of a rotary embedding, by its name';
  if (isModulePath(value.name)) return undefined;
  if (elements.length === 1 && !learned.some(({ node }) => layers.has(node.op))) {
    return 'it is a single number without the name of a module: a constant of a formula';
  }
  // Exporters write the scale 1 and the shift 0 for a normalization that has none of its own.
  if (
    learned.every(
      ({ node, index }) => normalizations.has(node.op) && elements.every((x) => x === (index === 1 ? 1 : 0)),
    )
  ) {
    return 'it is the scale 1 or the shift 0 of a normalization, without the name of a module';
  }
  return undefined;
}
