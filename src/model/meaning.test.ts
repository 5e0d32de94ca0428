// The meaning of a model's numbers goes with it: into its file and back, through edits and training.
import { create } from '@bufbuild/protobuf';
import { StringStringEntryProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../api/load-save.js';
import { FileError, OptionError } from '../errors.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Meaning } from '../meaning.js';
import { mlp } from '../nn/zoo.js';
import { decodeProto } from '../onnx/decode/message.js';
import { encodeMessage } from '../onnx/patch.js';
import { fineTuned } from './edit/fine-tuning.js';
import { withNormalization } from './edit/normalize.js';
import { meaningOf, withMeaning } from './meaning.js';

const whole: Meaning = {
  task: 'classification',
  loss: 'focal',
  hasOwnLossOptions: true,
  classes: ['a "quoted" one', '', '二'],
  columns: [
    { name: 'width', size: 1 },
    { name: '__proto__', size: 2 },
  ],
  target: 'kind',
  picture: { channels: 3, height: 4, width: 5, scale: 1 / 255, resized: true },
  text: { context: 8, vocabulary: ['\n', '\u0000', '😀'] },
  heldOut: { share: 0.1, seed: 7 },
};
const network = () => mlp({ sizes: [3, 4, 3], seed: 1 });

/** The file of a model as another program wrote it, with entries of its own. */
function foreign(...metadata: readonly (readonly [string, string])[]) {
  const proto = decodeProto(network().encode());
  proto.metadataProps = metadata.map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));
  return loadModel(encodeMessage(proto, 'foreign'));
}

describe('the meaning of a model', () => {
  it('is empty at first, and comes back from its file with all its parts', async () => {
    expect(meaningOf(network())).toEqual({});
    const named = withMeaning(network(), whole);
    expect(meaningOf(named)).toEqual(whole);
    const read = await loadModel(named.encode());
    expect(meaningOf(read)).toEqual(whole);
    const [part] = Object.keys(whole);
    expect(part).toBe('task');
    expect(meaningOf(withMeaning(read, { target: 'price' }))).toEqual({ target: 'price' });
    expect(withMeaning(read, whole)).toBe(read);
  });

  it('goes through new elements, edits and their files', async () => {
    const bias = tensorFrom('float32', [3], [1, 2, 3]);
    for (const model of [network(), await foreign()]) {
      const changed = withNormalization(withMeaning(model, whole), { mean: [0], deviation: [1] }).with(
        new Map([['fc2.bias', bias]]),
      );
      expect(meaningOf(changed)).toEqual(whole);
      const read = await loadModel(changed.encode());
      expect(meaningOf(read)).toEqual(whole);
      expect(read.parameters.get('fc2.bias')?.constant?.data).toEqual(bias.data);
      const adapted = fineTuned(read, { lora: 2, seed: 1 });
      expect(meaningOf(await loadModel(adapted.encode()))).toEqual(whole);
    }
  });

  it('loses with its head what it said of the outputs', async () => {
    const headed = fineTuned(withMeaning(network(), whole), { newHead: 5, seed: 1 });
    const { columns, picture, text } = whole;
    expect(meaningOf(headed)).toEqual({ columns, picture, text });
    expect(meaningOf(await loadModel(headed.encode()))).toEqual({ columns, picture, text });
  });

  it('leaves the entries of other programs as they are', async () => {
    const others = [
      ['author', 'someone'],
      ['cgfac.from-the-future', '1'],
      ['author', 'another'],
    ] as const;
    const named = withMeaning(await foreign(...others), { classes: ['a', 'b', 'c'] });
    const written = decodeProto(named.encode()).metadataProps.map(({ key, value }) => [key, value]);
    expect(written).toEqual([...others, ['cgfac.classes', '["a","b","c"]']]);
    expect(meaningOf(named)).toEqual({ classes: ['a', 'b', 'c'] });
  });

  it.each([
    ['cgfac.task', 'guessing', /expected classification, regression, autoencoding/],
    ['cgfac.classes', '{"0":"cat"}', /expected a JSON array of names/],
    ['cgfac.classes', '[1,2]', /expected a JSON array of names/],
    ['cgfac.classes', '["cat"', /expected a JSON array of names/],
    ['cgfac.classes', '[]', /expected a JSON array of names/],
    ['cgfac.columns', '[["a",0]]', /expected a JSON array of names, or of \[name, count\]/],
    ['cgfac.columns', '[null]', /expected a JSON array of names/],
    ['cgfac.picture', '{"channels":3,"height":4,"width":5,"scale":"1"}', /expected \{"channels":N/],
    ['cgfac.text', '{"context":8}', /expected \{"context":N/],
    ['cgfac.held-out', '{"share":2,"seed":0}', /expected \{"share":X/],
  ])('is refused where a file has %s as %s', async (key, value, message) => {
    const model = await foreign([key, value]);
    expect(() => meaningOf(model)).toThrow(FileError);
    expect(() => meaningOf(model)).toThrow(message);
    expect(() => meaningOf(model)).toThrow(`the metadata '${key}' of model '`);
  });

  it.each([
    [{ classes: [] }, /cannot be written: the metadata 'cgfac\.classes'/],
    [{ class: ['a'] }, /has 'class', which is no part of one/],
    [['a'], /is an array of 1; give \{ classes|is \['a'\]|give \{ classes/],
    [undefined, /is undefined; give \{ classes/],
  ])('is checked where it is given: %j', (given, message) => {
    const wrong = () => withMeaning(network(), given as Meaning);
    expect(wrong).toThrow(OptionError);
    expect(wrong).toThrow(message);
  });
});
