// Solves systems of equal shape together, as one batch.

/**
 * Solve items in groups, and return a function from each item to its result.
 * @param key items of equal keys are one group
 * @param solve returns one result an item, in the order of the group
 */
export function solvedInGroups<Item, Result>(
  items: readonly Item[],
  key: (item: Item) => string,
  solve: (group: readonly Item[]) => readonly Result[],
): (item: Item) => Result {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  const results = new Map<Item, Result>();
  for (const group of groups.values()) {
    const found = solve(group);
    if (found.length !== group.length) throw new Error(`${found.length} results for ${group.length} systems`);
    for (const [i, result] of found.entries()) results.set(group[i] as Item, result); // as many as results
  }
  return (item) => {
    if (!results.has(item)) throw new Error('not one of the systems that were solved');
    return results.get(item) as Result; // it is in the map
  };
}
