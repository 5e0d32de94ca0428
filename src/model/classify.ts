// Decides which of a file's tensors are trained. ONNX stores weights, running averages and plain constants side by side;
// how a tensor is used decides.
import type { Graph, Node, Value } from '../graph/graph.js';
import { readersOf, seeThrough, type Use, type Uses, usesIn } from '../graph/uses.js';
import { isModulePath } from '../onnx/exporter-names.js';
import { isSameNumbers, traitsOf } from '../ops/table.js';

export interface ClassifiedInitializers {
  /** Trained. */
  readonly parameters: ReadonlyMap<string, Value>;
  /** Running means and variances of batch normalization: updated, not trained. */
  readonly statistics: ReadonlyMap<string, Value>;
  /** Neither, each with the reason. */
  readonly constants: ReadonlyMap<string, string>;
}

/** Masks are added to scores: −∞, or the most negative number of the type. No weight comes near it. */
const largestWeight = 1e30;

/** Sort the tensors that a file stores with its graph into trained, updated and constant ones. */
export function classifyInitializers(graph: Graph, initializers: readonly Value[]): ClassifiedInitializers {
  const uses = usesIn(graph);
  const preprocessing = preprocessingOf(graph);
  const parameters = new Map<string, Value>();
  const statistics = new Map<string, Value>();
  const constants = new Map<string, string>();
  for (const value of initializers) {
    const found = readersOf(value, uses);
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
  // If nothing else can be trained, these are what the model learns.
  if (fixed.size < parameters.size) {
    for (const [name, input] of fixed) {
      parameters.delete(name);
      constants.set(name, `it is applied to the input '${input}' itself, as a normalization of the data is`);
    }
  }
  return { parameters, statistics, constants };
}

/**
 * Return the nodes that do arithmetic on the model's inputs before any layer, with stored numbers of one axis at most, and
 * the names of these inputs: (x − mean) / deviation, x · scale. A stored tensor of several axes is rather an embedding
 * of positions, added to inputs that are tokens already.
 */
function preprocessingOf(graph: Graph): Map<Node, string> {
  const applied = new Map<Node, string>();
  const moved = new Map(graph.inputs.map((input) => [input, input.name]));
  for (const node of graph.nodes) {
    const [first, second] = node.inputs;
    const [output] = node.outputs;
    if (!first || !output) continue;
    const input = moved.get(first) ?? (second && moved.get(second));
    if (input === undefined) continue;
    const stored = moved.has(first) ? second : first;
    if (traitsOf(node).arithmetic && stored && isPerChannel(stored)) applied.set(node, input);
    else if (!isSameNumbers(node) || !moved.has(first)) continue;
    moved.set(output, input);
  }
  return applied;
}

/** Whether a value is a stored tensor with no more than one axis of several elements, perhaps arranged anew. */
function isPerChannel(value: Value): boolean {
  const { constant } = seeThrough(value, isSameNumbers);
  return constant !== undefined && constant.dims.filter((size) => size > 1).length <= 1;
}

/** Return the input that a tensor is applied to, if it is used for nothing else. */
function appliedTo(value: Value, uses: Uses, preprocessing: ReadonlyMap<Node, string>): string | undefined {
  const inputs = readersOf(value, uses, isSameNumbers).map(({ node }) => preprocessing.get(node));
  return inputs.every((input) => input !== undefined) ? inputs[0] : undefined;
}

/** Whether a name is one that layers give to what they learn: an affine layer at the input is trained. */
const isLayerName = (name: string): boolean => /(^|\.)(weight|bias|gamma|beta)$/.test(name);

const isStatistic = ({ node, index }: Use): boolean => traitsOf(node).runningAverages?.includes(index) ?? false;

const typeReason = 'its elements are of type';

/** Whether a tensor is constant because it has no floating-point numbers: positions, shapes, switches. */
export const isTypeReason = (reason: string): boolean => reason.startsWith(typeReason);

/** Return why a tensor is not trained; undefined if it is. */
function whyConstant(value: Value, uses: readonly Use[]): string | undefined {
  const { dtype, constant } = value;
  if (dtype !== 'float32' && dtype !== 'float64') return `${typeReason} ${dtype}`;
  if (uses.length === 0) return 'no node reads it';
  const learned = uses.filter(
    ({ node, index }) => !traitsOf(node).settings?.includes(index) && !isStatistic({ node, index }),
  );
  const [first] = uses;
  if (learned.length === 0 && first) return `it is a setting of ${first.node.op}`;
  if (!constant) return undefined;
  const elements = constant.data as Float32Array | Float64Array;
  if (elements.length === 0) return 'it has no elements';
  if (!elements.every((element) => Math.abs(element) < largestWeight)) return 'it holds infinite numbers, as masks do';
  if (/(^|\.)(inv_freq|(cos|sin)_cached)$/.test(value.name)) {
    return 'it is the table of a rotary embedding, by its name';
  }
  if (isModulePath(value.name)) return undefined;
  if (elements.length === 1 && !learned.some(({ node }) => traitsOf(node).appliesWeights)) {
    return 'it is a single number without the name of a module: a constant of a formula';
  }
  // Exporters write the scale 1 and the shift 0 for a normalization that has none of its own.
  if (
    learned.every(
      ({ node, index }) => traitsOf(node).normalizes === true && elements.every((x) => x === (index === 1 ? 1 : 0)),
    )
  ) {
    return 'it is the scale 1 or the shift 0 of a normalization, without the name of a module';
  }
  return undefined;
}
