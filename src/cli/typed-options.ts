// The options of a command that was typed, read back from its text in run.json: for runs that have no config.json.

/** Words of a command as `typedCommand` quotes them. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/(?:'[^']*'|\\'|[^\s'\\])+/g)].map(([word]) =>
    word.replace(/\\'|'([^']*)'/g, (quoted, inside: string | undefined) => (quoted === "\\'" ? "'" : (inside ?? ''))),
  );
}

/** Return what was typed after the name of the program: the command, the model, and each option; one without a value is `yes`. */
export function typedOptions(command: string): ReadonlyMap<string, string> {
  const [, name = '', ...words] = wordsOf(command);
  const options = new Map([['command', name]]);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    const [, option, joined] = /^--([\w-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (option === undefined) {
      options.set('model', word);
      continue;
    }
    const next = words[i + 1];
    const hasNext = joined === undefined && next !== undefined && !next.startsWith('--');
    // The one argument is the model: a word behind an option is that of the option, except behind those without a value.
    const value = joined ?? (hasNext && !withoutValue.has(option) ? next : undefined);
    if (joined === undefined && value !== undefined) i += 1;
    const before = options.get(option);
    options.set(option, before === undefined ? (value ?? 'yes') : `${before}, ${value}`);
  }
  return options;
}

/** Options of `train`, `compare` and `demo` that take no value. */
const withoutValue = new Set([
  'diagnostics',
  'normalize',
  'no-normalize',
  'overwrite',
  'json',
  'debug',
  'csv',
  'dry-run',
]);
