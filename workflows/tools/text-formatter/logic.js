const words = text => text.replace(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2').split(/[^\p{L}\p{N}]+/u).filter(w => w !== '');
const upperFirst = word => word === '' ? '' : word[0].toUpperCase() + word.slice(1).toLowerCase();
const small = new Set(['a', 'an', 'and', 'as', 'at', 'but', 'by', 'for', 'in', 'nor', 'of', 'on', 'or', 'the', 'to', 'up', 'via']);

const operations = {
  upper: text => text.toUpperCase(),
  lower: text => text.toLowerCase(),
  title: text => text.replace(/[\p{L}\p{N}'’]+/gu, (word, at) => at > 0 && small.has(word.toLowerCase()) ? word.toLowerCase() : upperFirst(word)),
  sentence: text => text.toLowerCase().replace(/(^\s*|[.!?]\s+)(\p{L})/gu, (_, before, letter) => before + letter.toUpperCase()),
  camel: text => words(text).map((w, i) => i === 0 ? w.toLowerCase() : upperFirst(w)).join(''),
  snake: text => words(text).map(w => w.toLowerCase()).join('_'),
  kebab: text => words(text).map(w => w.toLowerCase()).join('-'),
  slug: text => words(text.normalize('NFKD').replace(/\p{M}/gu, '')).map(w => w.toLowerCase()).join('-').replace(/[^a-z0-9-]/g, ''),
  wrap: (text, { width = 80 }) => text.split(/\n{2,}/).map(paragraph => wrap(paragraph, width)).join('\n\n'),
  indent: (text, { by = 2 }) => text.split('\n').map(line => line === '' ? line : ' '.repeat(by) + line).join('\n'),
  trim: text => text.split('\n').map(line => line.trimEnd()).join('\n').replace(/\n{3,}/g, '\n\n').trim(),
  'number-lines': text => { const lines = text.split('\n'), width = String(lines.length).length; return lines.map((line, i) => `${String(i + 1).padStart(width)}  ${line}`).join('\n'); },
  'sort-lines': text => text.split('\n').sort((a, b) => a.toLowerCase() < b.toLowerCase() ? -1 : 1).join('\n'),
  'unique-lines': text => [...new Set(text.split('\n'))].join('\n'),
  'smart-quotes': text => text.replace(/(^|[\s([{])"/g, '$1“').replace(/"/g, '”').replace(/(^|[\s([{])'/g, '$1‘').replace(/'/g, '’').replace(/\.\.\./g, '…').replace(/ -- /g, ' – '),
  'json-pretty': text => JSON.stringify(JSON.parse(text), null, 2),
  'json-small': text => JSON.stringify(JSON.parse(text)),
  'align-table': text => align(text),
};

function run(args) {
  if (args.operation === 'count') return count(args.text);
  return { text: operations[args.operation](args.text, args) };
}

function wrap(paragraph, width) {
  const lines = [];
  let line = '';
  for (const word of paragraph.split(/\s+/).filter(w => w !== '')) {
    if (line !== '' && line.length + 1 + word.length > width) { lines.push(line); line = ''; }
    line = line === '' ? word : `${line} ${word}`;
  }
  if (line !== '') lines.push(line);
  return lines.join('\n');
}

function align(text) {
  const rows = text.trim().split('\n').map(line => line.trim().replace(/^\||\|$/g, '').split('|').map(c => c.trim()));
  const isRule = row => row.every(c => /^:?-+:?$/.test(c));
  const widths = [];
  for (const row of rows) if (!isRule(row)) row.forEach((c, i) => { widths[i] = Math.max(widths[i] ?? 3, c.length); });
  return rows.map(row => `| ${widths.map((w, i) => isRule(row) ? '-'.repeat(w) : (row[i] ?? '').padEnd(w)).join(' | ')} |`).join('\n');
}

function count(text) {
  const list = words(text);
  return {
    characters: [...text].length, charactersWithoutSpaces: [...text.replace(/\s/g, '')].length, words: list.length, uniqueWords: new Set(list.map(w => w.toLowerCase())).size,
    lines: text === '' ? 0 : text.split('\n').length, sentences: (text.match(/[.!?]+(?=\s|$)/g) ?? []).length, paragraphs: text.split(/\n\s*\n/).filter(p => p.trim() !== '').length,
    // 230 words a minute: Brysbaert, "How many words do we read per minute?", 2019, rounded down.
    readingMinutes: Math.ceil(list.length / 230),
  };
}
