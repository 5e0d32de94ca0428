// LSTM, GRU and RNN written out step by step as ONNX's specification has them: an oracle that runs in float64, for which the
// runtime has no kernels.
import type { Node, Value } from '../../src/graph/graph.js';
import type { Builder } from '../../src/ops/builder.js';
import type { ExpansionContext } from '../../src/ops/definition.js';

export type RecurrentName = 'LSTM' | 'GRU' | 'RNN';

type Function = (b: Builder, x: Value) => Value;

/** Activations that have float64 kernels. */
const functions: Readonly<Record<string, Function>> = {
  Sigmoid: (b, x) => b.reciprocal(b.add(b.exp(b.neg(x)), 1)),
  Tanh: (b, x) => b.tanh(x),
  Relu: (b, x) => b.max(x, 0),
  Softsign: (b, x) => b.div(x, b.add(b.abs(x), 1)),
  HardSigmoid: (b, x) => b.min(b.max(b.add(b.mul(x, 0.2), 0.5), 0), 1),
  Affine: (b, x) => b.add(b.mul(x, 0.75), 0.25),
  ScaledTanh: (b, x) => b.mul(b.tanh(b.mul(x, 0.5)), 1.5),
};

const usual: Readonly<Record<string, readonly string[]>> = {
  LSTM: ['Sigmoid', 'Tanh', 'Tanh'],
  GRU: ['Sigmoid', 'Tanh'],
  RNN: ['Tanh'],
};

const number = (node: Pick<Node, 'attributes'>, name: string): number => {
  const given = node.attributes[name];
  return given?.kind === 'int' || given?.kind === 'float' ? given.value : 0;
};

/**
 * Return Y, Y_h and, of an LSTM, Y_c of a node of layout 0 and of the operator `op`. Two more inputs,
 * `[batch, steps, directions · outputs]`, are added to the shares of the inputs and of the states in the pre-activations.
 */
export function unrolledRecurrent(op: RecurrentName, { b, node }: ExpansionContext): readonly Value[] {
  const [x, w, r, bias, lengths, hidden0, cell0] = node.inputs as readonly [
    Value,
    Value,
    Value,
    ...(Value | undefined)[],
  ];
  const [steps = 0, batch = 0, inputs = 0] = x.dims;
  const hidden = r.dims[2] ?? 0;
  const given = node.attributes.direction;
  const direction = given?.kind === 'string' ? given.value : 'forward';
  const runs = direction === 'bidirectional' ? [false, true] : [direction === 'reverse'];
  const names = node.attributes.activations;
  const all = names?.kind === 'strings' ? names.value : runs.flatMap(() => usual[op] ?? []);
  const count = all.length / runs.length;
  const shares = node.inputs.slice(op === 'LSTM' ? 8 : 6);
  const clip = number(node, 'clip');
  const clipped = (s: Value): Value => (clip > 0 ? b.min(b.max(s, -clip), clip) : s);
  const directions = runs.map((fromEnd, d) => {
    const act = (index: number, s: Value): Value => {
      const f = functions[all[d * count + index] ?? ''];
      if (!f) throw new Error(`no function ${all[d * count + index]}`);
      return f(b, s);
    };
    const of = (value: Value): Value => b.squeeze(b.slice(value, 0, d, d + 1), [0]);
    const gates = (w.dims[1] ?? 0) / hidden;
    const rows = (value: Value, gate: number): Value => b.slice(value, 0, gate * hidden, (gate + 1) * hidden);
    /** The part of step t of what is added to a share. */
    const added = (share: number, t: number, gate: number): Value | number => {
      const all = shares[share];
      const from = (d * gates + gate) * hidden;
      return all ? b.squeeze(b.slice(b.slice(all, 1, t, t + 1), 2, from, from + hidden), [1]) : 0;
    };
    const ofX = (at: Value, t: number, gate: number): Value => {
      const s = b.add(b.matmul(at, b.transpose(rows(of(w), gate))), added(0, t, gate));
      return bias ? b.add(s, rows(of(bias), gate)) : s;
    };
    const ofH = (at: Value, t: number, gate: number): Value => {
      const s = b.add(b.matmul(at, b.transpose(rows(of(r), gate))), added(1, t, gate));
      return bias ? b.add(s, rows(of(bias), gates + gate)) : s;
    };
    let h = hidden0 ? of(hidden0) : b.filled([batch, hidden], 0, x.dtype);
    let c = cell0 ? of(cell0) : b.filled([batch, hidden], 0, x.dtype);
    const states: Value[] = [];
    for (let k = 0; k < steps; k++) {
      const t = fromEnd ? steps - 1 - k : k;
      const at = b.reshape(b.slice(x, 0, t, t + 1), [batch, inputs]);
      const s = (gate: number): Value => clipped(b.add(ofX(at, t, gate), ofH(h, t, gate)));
      let [nextH, nextC] = [h, c];
      if (op === 'RNN') nextH = act(0, s(0));
      if (op === 'GRU') {
        const [z, reset] = [act(0, s(0)), act(0, s(1))];
        const ofState =
          number(node, 'linear_before_reset') === 1 ? b.mul(reset, ofH(h, t, 2)) : ofH(b.mul(reset, h), t, 2);
        const n = act(1, clipped(b.add(ofX(at, t, 2), ofState)));
        nextH = b.add(b.mul(b.sub(1, z), n), b.mul(z, h));
      }
      if (op === 'LSTM') {
        const i = act(0, s(0));
        const f = number(node, 'input_forget') === 1 ? b.sub(1, i) : act(0, s(2));
        nextC = b.add(b.mul(f, c), b.mul(i, act(1, s(3))));
        nextH = b.mul(act(0, s(1)), act(2, nextC));
      }
      if (lengths) {
        const within = b.reshape(b.greater(b.cast(lengths, 'int64'), t), [batch, 1]);
        states[t] = b.where(within, nextH, 0);
        nextH = b.where(within, nextH, h);
        nextC = b.where(within, nextC, c);
      } else states[t] = nextH;
      [h, c] = [nextH, nextC];
    }
    const y = b.concat(
      states.map((state) => b.unsqueeze(state, [0, 1])),
      0,
    );
    return { y, h: b.unsqueeze(h, [0]), c: b.unsqueeze(c, [0]) };
  });
  const joined = (axis: number, values: readonly Value[]): Value => b.concat(values, axis);
  return [
    joined(
      1,
      directions.map(({ y }) => y),
    ),
    joined(
      0,
      directions.map(({ h }) => h),
    ),
    ...(op === 'LSTM'
      ? [
          joined(
            0,
            directions.map(({ c }) => c),
          ),
        ]
      : []),
  ];
}
