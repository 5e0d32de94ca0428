// One colour for each optimizer in all charts of a report, from a palette that colour-blind readers can distinguish (after Okabe
// and Ito, darkened for white paper, lightened for a dark ground).

import { optimizerOf } from '../names.js';

/** Colours on a light and on a dark ground. */
const colours = [
  { light: '#d1500a', dark: '#ff8f4f' }, // vermilion
  { light: '#0068b0', dark: '#5fb2ff' }, // blue
  { light: '#00875f', dark: '#3dd3a0' }, // green
  { light: '#a8478f', dark: '#ec9bd3' }, // purple
  { light: '#a87800', dark: '#efc14a' }, // amber
  { light: '#6a7080', dark: '#a9b0be' }, // grey
  { light: '#2f93c9', dark: '#93dcff' }, // sky
  { light: '#7c1d4e', dark: '#ff9bb0' }, // wine
];

/** Colours of the commonest optimizers, the same in all reports. */
const usualSlots: Readonly<Record<string, number>> = { cgfac: 0, kfac: 1, adam: 2, momentum: 3, adamw: 4, sgd: 5 };

/** How a run is drawn. */
export interface Ink {
  /** A CSS colour that follows the reader's light or dark scheme. */
  readonly colour: string;
  /** With more names than colours, colours are used again, dashed. */
  readonly dashed: boolean;
}

/**
 * Return the ink of each run's name in a report. The first run of an optimizer has the optimizer's colour, whatever its options;
 * others get the remaining colours in order of appearance.
 * @param given may hold a name several times
 */
export function assignInks(given: readonly string[]): ReadonlyMap<string, Ink> {
  const names = [...new Set(given)];
  const homes = new Map<string, number>();
  const settle = (name: string, optimizer: string) => {
    const home = Object.hasOwn(usualSlots, optimizer) ? usualSlots[optimizer] : undefined;
    if (home !== undefined && !homes.has(name) && ![...homes.values()].includes(home)) homes.set(name, home);
  };
  for (const name of names) settle(name, name);
  for (const name of names) settle(name, optimizerOf(name));
  const taken = new Set(homes.values());
  const free = colours.map((_, index) => index).filter((index) => !taken.has(index));
  const order = free.length > 0 ? free : [0];
  let strangers = 0;
  const inks = new Map<string, Ink>();
  for (const name of names) {
    const home = homes.get(name);
    const slot = home ?? order[strangers % order.length] ?? 0;
    inks.set(name, { colour: `var(--ink-${slot})`, dashed: home === undefined && strangers >= order.length });
    if (home === undefined) strangers += 1;
  }
  return inks;
}

/** Return the palette as CSS custom properties. */
export function paletteCss(scheme: 'light' | 'dark'): string {
  return colours.map((colour, index) => `--ink-${index}:${colour[scheme]};`).join('');
}
