// `cgfac optimizers`: lists the optimizers, or describes the options of one.
import { Command } from 'commander';
import { debugFlag } from './debug-flag.js';
import { describeValues } from './named-options.js';
import { conditionsOf, type OptimizerKind } from './optimizer-kind.js';
import { optimizerGroups, optimizerHelp, optimizerKind } from './optimizers.js';

const width = 100;
const scheduleNote = 'Schedules, such as cosine:0.01:1000, are listed by cgfac optimizers';

const examples = `
Examples
  cgfac optimizers
  cgfac optimizers cgfac
  cgfac optimizers adamw --json`;

export function command(): Command {
  return new Command('optimizers')
    .description('List the optimizers, or the options of one with their values and defaults')
    .argument('[name]', 'the optimizer; without it, all are listed')
    .option('--json', 'print the result as one JSON object')
    .addOption(debugFlag())
    .addHelpText('after', examples)
    .action(run);
}

function run(name: string | undefined, { json }: { readonly json?: boolean }): void {
  if (name === undefined) console.log(json ? JSON.stringify({ optimizers: described() }) : optimizerHelp());
  else {
    const kind = optimizerKind(name);
    console.log(json ? JSON.stringify(described().find((each) => each.name === name)) : optimizerPage(name, kind));
  }
}

/** Return all optimizers for programs. */
const described = () =>
  Object.entries(optimizerGroups).flatMap(([group, members]) =>
    Object.entries(members).map(([name, kind]) => ({
      name,
      group,
      summary: kind.summary,
      options: Object.entries(kind.options).map(([option, { summary, usual, kind: values }]) => {
        const onlyWith = conditionsOf(kind, option);
        return {
          name: option,
          summary,
          values: describeValues(values),
          default: usual,
          ...(onlyWith.length > 0 && { onlyWith }),
        };
      }),
      example: exampleOf(kind),
    })),
  );

/** Return the description of an optimizer, in lines of at most 100 characters. */
export function optimizerPage(name: string, kind: OptimizerKind): string {
  const options = Object.entries(kind.options);
  const margin = Math.max(...options.map(([option]) => option.length)) + 4;
  const lines = options.flatMap(([option, { summary, usual, kind: values }]) => {
    const onlyWith = conditionsOf(kind, option);
    const details = [
      describeValues(values),
      `default: ${usual}`,
      ...(onlyWith.length > 0 ? [`only with ${onlyWith.join(' or ')}`] : []),
    ].join('; ');
    const [first = '', ...others] = [summary, details].flatMap((text) => wrapped(text, width - margin));
    return [`  ${option}`.padEnd(margin) + first, ...others.map((line) => ' '.repeat(margin) + line)];
  });
  return [
    ...wrapped(`${name}  ${kind.summary}`, width),
    '',
    `Options; write them as ${name}:option=value:option=value`,
    ...lines,
    '',
    'Example',
    `  ${exampleOf(kind)}`,
    ...(options.some(([, { kind: values }]) => values === 'schedule') ? ['', scheduleNote] : []),
  ].join('\n');
}

const exampleOf = ({ example }: OptimizerKind): string => `cgfac train ${example}`;

/** Return a text in lines of at most so many characters, broken between words. */
function wrapped(text: string, most: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= most) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}
