// What is written in a colour of the palette can be read on the grounds of the page, in both schemes.
import { expect, it } from 'vitest';
import { reportCss } from './style.js';

/** Relative luminance (WCAG 2.2). */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

it('inks have a contrast of at least 4.5', () => {
  const schemes = [...reportCss.matchAll(/--paper:.*?(?=})/g)].map(
    ([text]) => new Map([...text.matchAll(/(--[\w-]+):(#\w{6});/g)].map(([, name, value = '']) => [name, value])),
  );
  expect(schemes).toHaveLength(2);
  for (const scheme of schemes) {
    const inks = [...scheme].filter(([name]) => /^--(ink|quiet)/.test(name ?? ''));
    expect(inks).toHaveLength(10);
    for (const [name, ink] of inks) {
      for (const ground of ['--paper', '--card']) {
        expect(contrast(ink, scheme.get(ground) ?? ''), `${name} on ${ground}`).toBeGreaterThanOrEqual(4.5);
      }
    }
  }
});

it('nothing moves', () => expect(reportCss).not.toMatch(/animation|transition|scroll-behavior/));
