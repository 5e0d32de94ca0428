// Places the labels at the ends of a chart's lines: beside their line if there is room, never on one another, and never outside
// the drawing.

/** A label and its ideal place: it begins at `x` and is centred on `y`. */
export interface EndLabel {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

/** Return heights for the labels between `top` and `bottom`, as near as possible to their own, `lineHeight` apart if they would meet. */
export function labelHeights(
  labels: readonly EndLabel[],
  lineHeight: number,
  top: number,
  bottom: number,
): readonly number[] {
  const heights = labels.map(({ y }) => y);
  for (const group of meeting(labels)) {
    const order = group.sort((a, b) => (heights[a] ?? 0) - (heights[b] ?? 0));
    const gap = Math.min(lineHeight, (bottom - top) / Math.max(1, order.length - 1));
    // Less the gaps above, heights only have to rise: the nearest rising ones are means of neighbours (isotonic regression).
    const blocks: { sum: number; count: number }[] = [];
    for (const [position, index] of order.entries()) {
      let block = { sum: (heights[index] ?? 0) - position * gap, count: 1 };
      for (
        let above = blocks.at(-1);
        above && above.sum / above.count >= block.sum / block.count;
        above = blocks.at(-1)
      ) {
        blocks.pop();
        block = { sum: above.sum + block.sum, count: above.count + block.count };
      }
      blocks.push(block);
    }
    const lowest = bottom - gap * (order.length - 1);
    let position = 0;
    for (const { sum, count } of blocks) {
      const height = Math.min(lowest, Math.max(top, sum / count));
      for (let end = position + count; position < end; position += 1)
        heights[order[position] ?? 0] = height + position * gap;
    }
  }
  return heights;
}

/** Groups of labels, by their positions in the list, that share some width of the drawing. */
function meeting(labels: readonly EndLabel[]): number[][] {
  const groups: { indices: number[]; end: number }[] = [];
  const order = labels.map((_, index) => index).sort((a, b) => (labels[a]?.x ?? 0) - (labels[b]?.x ?? 0));
  for (const index of order) {
    const { x, width } = labels[index] ?? { x: 0, width: 0 };
    const last = groups.at(-1);
    if (last && x < last.end) {
      last.indices.push(index);
      last.end = Math.max(last.end, x + width);
    } else groups.push({ indices: [index], end: x + width });
  }
  return groups.map(({ indices }) => indices);
}
