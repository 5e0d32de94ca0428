// The script of the watched page: it waits for news, fetches the parts, and replaces those that differ, so that what a reader has
// opened stays open and what has the focus keeps it.

export const watchScript = `'use strict';
const main = document.querySelector('main');
const connection = document.getElementById('connection');
const reachable = 'summary, a, [tabindex]';

function say(text) {
  if (connection.textContent !== text) connection.textContent = text;
}

// Replace the innermost marked parts; a part that is new or gone changes the part around it.
function update(before, after) {
  if (before.innerHTML === after.innerHTML) return;
  const parts = (element) => [...element.querySelectorAll('[data-part]')].filter((part) => part.parentElement.closest('[data-part]') === (element.matches('[data-part]') ? element : null));
  const [old, fresh] = [parts(before), parts(after)];
  const isSame = old.length > 0 && old.length === fresh.length && old.every((part, i) => part.dataset.part === fresh[i].dataset.part);
  if (isSame) {
    for (const [i, part] of old.entries()) update(part, fresh[i]);
    return;
  }
  const open = [...before.querySelectorAll('details')].map((details) => details.open);
  const scrolled = [...before.querySelectorAll('.scroll')].map((element) => element.scrollLeft);
  const focus = [...before.querySelectorAll(reachable)].indexOf(document.activeElement);
  before.replaceChildren(...after.childNodes);
  for (const [i, details] of [...before.querySelectorAll('details')].entries()) details.open = open[i] ?? false;
  for (const [i, element] of [...before.querySelectorAll('.scroll')].entries()) element.scrollLeft = scrolled[i] ?? 0;
  if (focus >= 0) before.querySelectorAll(reachable)[focus]?.focus({ preventScroll: true });
}

let busy = false;
let again = false;
async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const response = await fetch('parts');
    if (response.ok) {
      const page = new DOMParser().parseFromString('<main>' + (await response.text()) + '</main>', 'text/html');
      update(main, page.querySelector('main'));
      say('This page follows the run.');
    }
  } catch {
    say('cgfac watch has ended: this is its last state.');
  }
  busy = false;
  if (again) {
    again = false;
    refresh();
  }
}

const events = new EventSource('events');
events.onmessage = refresh;
events.onerror = () => say('cgfac watch has ended: this is its last state.');
`;
