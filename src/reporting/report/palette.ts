// One colour and one marker for each optimizer in all charts of a report. The palette is one that colour-blind readers can
// distinguish (after Okabe and Ito, darkened for white paper, lightened for a dark ground); the markers need no colours.

import { optimizerOf } from '../names.js';
import { type Html, html } from './html.js';

/** Colours on a light and on a dark ground: all can be read as text, with a contrast of at least 4.5. */
export const colours = [
  { light: '#bd4509', dark: '#ff8f4f' }, // vermilion
  { light: '#0068b0', dark: '#5fb2ff' }, // blue
  { light: '#007a56', dark: '#3dd3a0' }, // green
  { light: '#a8478f', dark: '#ec9bd3' }, // purple
  { light: '#8f6400', dark: '#efc14a' }, // amber
  { light: '#5f6675', dark: '#a9b0be' }, // grey
  { light: '#1c739f', dark: '#93dcff' }, // sky
  { light: '#7c1d4e', dark: '#ff9bb0' }, // wine
] as const;

/** Colours of the commonest optimizers, the same in all reports. */
const usualSlots: Readonly<Record<string, number>> = { cgfac: 0, kfac: 1, adam: 2, momentum: 3, adamw: 4, sgd: 5 };

/** How a run is drawn. */
export interface Ink {
  /** A CSS colour that follows the reader's light or dark scheme. */
  readonly colour: string;
  /** The number of a shape. With more names than colours, a colour is used again with another shape. */
  readonly marker: number;
}

/** Outlines of the markers around (0, 0), all of about the same area. */
const shapes = [
  'M-3,0a3,3 0 1 0 6,0a3,3 0 1 0 -6,0z', // circle
  'M-2.7,-2.7h5.4v5.4h-5.4z', // square
  'M0,-3.6L3.5,2.6H-3.5z', // triangle
  'M0,-3.9L3.9,0L0,3.9L-3.9,0z', // diamond
  'M0,3.6L3.5,-2.6H-3.5z', // triangle on its tip
  'M-1.2,-3.6h2.4v2.4h2.4v2.4h-2.4v2.4h-2.4v-2.4h-2.4v-2.4h2.4z', // plus
  'M0,-3.9L3.7,-1.2L2.3,3.2H-2.3L-3.7,-1.2z', // pentagon
  'M-3.6,-2.6L3.6,2.6V-2.6L-3.6,2.6z', // bow tie
  'M-2.6,-3.6L2.6,3.6H-2.6L2.6,-3.6z', // hourglass
] as const;

/** Return the outline of an ink's marker around (0, 0), about 7 wide. */
export const markerPath = ({ marker }: Ink): string => shapes[marker % shapes.length] ?? shapes[0];

/** Return the marker of an ink for a text. */
export function chip(ink: Ink | undefined): Html | undefined {
  if (ink === undefined) return undefined;
  return html`<svg class="chip" viewBox="-4.5 -4.5 9 9" aria-hidden="true"><path fill="${ink.colour}" d="${markerPath(ink)}"/></svg>`;
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
    // Nine shapes and eight colours: a colour that comes again has the next shape.
    const again = home === undefined ? Math.floor(strangers / order.length) : 0;
    inks.set(name, { colour: `var(--ink-${slot})`, marker: slot + again * (colours.length + 2) });
    if (home === undefined) strangers += 1;
  }
  return inks;
}

/** Return the palette as CSS custom properties. */
export function paletteCss(scheme: 'light' | 'dark'): string {
  return colours.map((colour, index) => `--ink-${index}:${colour[scheme]};`).join('');
}
