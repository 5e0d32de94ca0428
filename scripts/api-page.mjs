// Writes docs/api.md: each public name with the first sentence of its docstring. `npm run docs`.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Sections of the page, each with the files whose names it lists; a file belongs to the first that fits. */
const sections = [
  ['Train and use', /^api\//],
  ['Networks', /^nn\//],
  ['Models, files, fine-tuning', /^(model|onnx)\/|^normalization|^meaning/],
  ['Data', /^data\/|^random/],
  ['Losses', /^losses\//],
  ['Metrics', /^metrics\//],
  ['Schedules', /^optimizers\/schedules/],
  ['Second-order optimizers', /^optimizers\/(second-order|steps)\/|^curvature\/fisher|^solvers\//],
  ['Transforms of chains', /^optimizers\/transforms\//],
  ['First-order optimizers, and the contract of all', /^optimizers\//],
  ['Curvature', /^curvature\//],
  ['Graphs and operators', /^(graph|ops)\//],
  ['Engines', /^engine\//],
  ['Results and reports', /^(training|reporting)\//],
  ['Errors', /^errors/],
];

/** The names that an entry exports: of which file, and what the file calls them. */
function exportsOf(entry) {
  const source = readFileSync(join('src', entry), 'utf8');
  return [...source.matchAll(/^export (type )?\{([^}]*)\} from '\.\/(.*)\.js';/gm)].flatMap(
    ([, allTypes, list, file]) =>
      list
        .split(',')
        .map((each) => each.trim())
        .filter(Boolean)
        .map((each) => {
          const [declared, name = declared] = each.replace(/^type /, '').split(' as ');
          return {
            entry,
            file: `${file}.ts`,
            declared,
            name,
            isType: allTypes !== undefined || each.startsWith('type '),
          };
        }),
  );
}

/** The first sentence of a declaration's docstring, which may stand in a file that this one exports again. */
function summaryOf({ file, declared }) {
  const source = readFileSync(join('src', file), 'utf8');
  const again = new RegExp(String.raw`^export \{[^}]*\b${declared}\b[^}]*\} from '\./(.*)\.js'`, 'm').exec(source)?.[1];
  if (again !== undefined) return summaryOf({ file: join(dirname(file), `${again}.ts`), declared });
  const declaration = new RegExp(
    String.raw`\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export (?:async )?(?:function|const|class|interface|type) ${declared}\b`,
  );
  const comment =
    declaration
      .exec(source)?.[1]
      ?.replace(/^\s*\* ?/gm, '')
      .split(/^\s*@/m)[0] ?? '';
  const sentence = /^[\s\S]*?[.:](?=\s+[A-Z`]|\s*$)/.exec(comment.trim())?.[0] ?? comment;
  return sentence
    .replace(/\s+/g, ' ')
    .replace(/[.:;]$/, '')
    .replaceAll('|', '\\|')
    .trim();
}

const names = ['index.ts', 'node.ts', 'web.ts'].flatMap(exportsOf);
const lost = names.find(({ file }) => !sections.some(([, pattern]) => pattern.test(file)));
if (lost) throw new Error(`no section for '${lost.name}' of ${lost.file}: name its folder in scripts/api-page.mjs`);
const page = [
  '# The public parts',
  '',
  'What `cgfac` exports, a line each; `cgfac/node` and `cgfac/web` have the same names and add those that are marked.',
  'Docstrings have the options, the errors and an example of each. `npm run docs` writes this page.',
  '',
];
for (const [title, pattern] of sections) {
  const own = names.filter(({ file }) => sections.find(([, each]) => each.test(file))?.[1] === pattern);
  const values = own.filter(({ isType }) => !isType);
  const types = own.filter(({ isType }) => isType);
  page.push(`## ${title}`, '');
  if (values.length > 0) page.push('| name | what it is |', '| --- | --- |');
  for (const value of values) {
    const mark = value.entry === 'index.ts' ? '' : ` (\`cgfac/${value.entry.replace('.ts', '')}\`)`;
    page.push(`| \`${value.name}\`${mark} | ${summaryOf(value)} |`);
  }
  if (values.length > 0) page.push('');
  if (types.length > 0) page.push(`Types: ${types.map(({ name }) => `\`${name}\``).join(', ')}.`, '');
}
writeFileSync(join('docs', 'api.md'), `${page.join('\n').trimEnd()}\n`);
