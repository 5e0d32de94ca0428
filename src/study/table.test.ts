import { expect, it } from 'vitest';
import { tableHtml, textTable } from './table.js';

const table = {
  caption: 'Steps & seconds',
  columns: ['optimizer', 'steps', 'seconds'],
  rows: [
    ['cgfac', { text: '12', mark: 'best' as const }, '3.5'],
    ['a <b>', { text: 'never', mark: 'warning' as const }, '12.25'],
  ],
};

it('aligns numbers whether they are marked or not', () => {
  expect(textTable(table)).toBe(
    [
      'Steps & seconds',
      'optimizer  steps  seconds',
      '─────────────────────────',
      'cgfac         12*     3.5',
      'a <b>      never!   12.25',
    ].join('\n'),
  );
});

it('escapes what it shows as HTML, and marks by more than colour', () => {
  const { html } = tableHtml(table);
  expect(html).toContain('<figcaption>Steps &amp; seconds</figcaption>');
  expect(html).toContain('<th scope="row">a &lt;b&gt;</th><td class="warning">never !</td><td>12.25</td>');
  expect(html).toContain('<td class="best">12</td>');
});

it('shades the cells of a heat map', () => {
  const shaded = {
    ...table,
    rows: [['cgfac', { text: '12', strength: 1 }, { text: '40', strength: 0, mark: 'best' as const }]],
  };
  const { html } = tableHtml(shaded);
  expect(html).toContain('<td class="heat" style="--strength:45%">12</td>');
  expect(html).toContain('<td class="best heat" style="--strength:0%">40</td>');
});
