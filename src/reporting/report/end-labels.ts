// Places the labels at the ends of a chart's lines: beside their line if there is room, never on one another, and never outside
// the drawing.

/** A label and its ideal place: it begins at `x` and is centred on `y`. */
export interface EndLabel {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

/**
 * Return heights for the labels between `top` and `bottom`, as near as possible to their own, `lineHeight` apart if they
 * would meet.
 */
export function labelHeights(
  labels: readonly EndLabel[],
  lineHeight: number,
  top: number,
  bottom: number,
): readonly number[] {
  const placed = labels.map((label): Placed => ({ label, height: label.y }));
  for (const group of meeting(placed)) {
    group.sort((a, b) => a.height - b.height);
    const gap = Math.min(lineHeight, (bottom - top) / Math.max(1, group.length - 1));
    // Less the gaps above, heights only have to rise: the nearest rising ones are means of neighbours (isotonic regression).
    const blocks: Block[] = [];
    for (const [position, member] of group.entries()) {
      let block: Block = { members: [member], sum: member.height - position * gap };
      for (let above = blocks.at(-1); above && mean(above) >= mean(block); above = blocks.at(-1)) {
        blocks.pop();
        block = { members: [...above.members, ...block.members], sum: above.sum + block.sum };
      }
      blocks.push(block);
    }
    const lowest = bottom - gap * (group.length - 1);
    const spread = blocks.flatMap((block) => block.members.map((member) => ({ member, height: mean(block) })));
    for (const [position, { member, height }] of spread.entries())
      member.height = Math.min(lowest, Math.max(top, height)) + position * gap;
  }
  return placed.map(({ height }) => height);
}

interface Placed {
  readonly label: EndLabel;
  height: number;
}

/** Labels that touch. */
interface Block {
  readonly members: readonly Placed[];
  readonly sum: number;
}

const mean = ({ members, sum }: Block): number => sum / members.length;

/** Groups of labels that share some width of the drawing. */
function meeting(labels: readonly Placed[]): Placed[][] {
  const groups: { members: Placed[]; end: number }[] = [];
  for (const placed of [...labels].sort((a, b) => a.label.x - b.label.x)) {
    const { x, width } = placed.label;
    const last = groups.at(-1);
    if (last && x < last.end) {
      last.members.push(placed);
      last.end = Math.max(last.end, x + width);
    } else groups.push({ members: [placed], end: x + width });
  }
  return groups.map(({ members }) => members);
}
