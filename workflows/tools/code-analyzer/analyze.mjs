// Reads the workspace and writes what it found as JSON. Nothing of the workspace is run: syntax is checked by compiling only.
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';

const { folder = '', top = 10 } = JSON.parse(fs.readFileSync(0, 'utf8') || '{}');
const root = path.join('/workspace', folder);
const maxFiles = 5000;
const maxBytes = 1024 * 1024;
const skipped = new Set(['node_modules', '.git', 'bin', 'obj', 'dist', 'build', 'target', 'vendor', '__pycache__', '.venv']);
const languages = {
  js: 'JavaScript', mjs: 'JavaScript', cjs: 'JavaScript', jsx: 'JavaScript', ts: 'TypeScript', tsx: 'TypeScript', cs: 'C#', py: 'Python', java: 'Java', go: 'Go', rs: 'Rust', c: 'C', h: 'C',
  cpp: 'C++', hpp: 'C++', rb: 'Ruby', php: 'PHP', sh: 'Shell', sql: 'SQL', html: 'HTML', css: 'CSS', json: 'JSON', yaml: 'YAML', yml: 'YAML', md: 'Markdown', xml: 'XML', razor: 'Razor', kt: 'Kotlin', swift: 'Swift',
};
const hashComments = new Set(['Python', 'Ruby', 'Shell', 'YAML']);
const functionStart = {
  JavaScript: /^\s*(?:export\s+)?(?:default\s+)?(?:async\s+)?function\s*\*?\s*([\w$]+)|^\s*(?:export\s+)?(?:const|let|var)\s+([\w$]+)\s*=\s*(?:async\s*)?\(?[^=]*=>|^\s+(?:static\s+|async\s+|get\s+|set\s+)*([\w$#]+)\s*\([^)]*\)\s*\{/,
  Python: /^\s*(?:async\s+)?def\s+(\w+)/,
  Go: /^func\s+(?:\([^)]*\)\s*)?(\w+)/,
  Rust: /^\s*(?:pub\s+)?(?:async\s+)?fn\s+(\w+)/,
};
functionStart.TypeScript = functionStart.JavaScript;
functionStart['C#'] = functionStart.Java = /^\s*(?:(?:public|private|protected|internal|static|async|override|virtual|sealed|partial|final)\s+)+[\w<>\[\],.?\s]+?\s(\w+)\s*(?:<[^>]*>)?\([^;]*$/;
const notAFunction = new Set(['if', 'for', 'while', 'switch', 'catch', 'return', 'function', 'constructor_']);
const secret = /-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{36}|(?:password|secret|api_?key|token)\s*[:=]\s*["'][^"']{8,}["']/i;
const branch = /\b(?:if|else if|for|foreach|while|case|catch|elif|except|when)\b|&&|\|\||\?\?/g;

const byLanguage = {};
const files = [];
const functions = [];
const marks = [];
const secrets = [];
const mistakes = [];
let isComplete = true;

for (const file of walk(root)) analyze(file);
files.sort((a, b) => b.code - a.code);
functions.sort((a, b) => b.complexity - a.complexity || b.lines - a.lines);
console.log(JSON.stringify({
  files: files.length, isComplete, languages: byLanguage, longestFiles: files.slice(0, top), mostComplexFunctions: functions.slice(0, top),
  marks: marks.slice(0, 100), possibleSecrets: secrets.slice(0, 50), syntaxErrors: mistakes.slice(0, 50),
}));

function* walk(at) {
  let entries;
  try { entries = fs.readdirSync(at, { withFileTypes: true }); } catch { return; }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (files.length >= maxFiles) { isComplete = false; return; }
    const full = path.join(at, entry.name);
    if (entry.isDirectory()) { if (!skipped.has(entry.name)) yield* walk(full); }
    else if (entry.isFile() && languages[path.extname(entry.name).slice(1)]) yield full;
  }
}

function analyze(file) {
  if (fs.statSync(file).size > maxBytes) { isComplete = false; return; }
  const language = languages[path.extname(file).slice(1)];
  const name = path.relative('/workspace', file);
  const text = fs.readFileSync(file, 'utf8');
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const count = { lines: lines.length, code: 0, comments: 0, blank: 0 };
  let inBlock = false, depth = 0, deepest = 0, current = null;
  lines.forEach((line, i) => {
    const trimmed = line.trim();
    const isComment = inBlock || (hashComments.has(language) ? trimmed.startsWith('#') : /^(\/\/|\/\*|\*|--|<!--)/.test(trimmed));
    if (trimmed === '') count.blank++;
    else if (isComment) count.comments++;
    else count.code++;
    if (!hashComments.has(language)) {
      if (trimmed.includes('/*')) inBlock = !trimmed.includes('*/', trimmed.indexOf('/*') + 2);
      else if (inBlock && trimmed.includes('*/')) inBlock = false;
    }
    const mark = /\b(TODO|FIXME|HACK|XXX)\b:?\s*(.*)/.exec(line);
    if (mark) marks.push({ file: name, line: i + 1, mark: mark[1], text: mark[2].slice(0, 200) });
    if (secret.test(line)) secrets.push({ file: name, line: i + 1 });
    if (isComment || trimmed === '') return;
    const indent = line.length - line.trimStart().length;
    const start = functionStart[language]?.exec(line);
    const title = start && (start[1] ?? start[2] ?? start[3]);
    if (current && (language === 'Python' ? indent <= current.indent : depth <= current.depth && current.lines > 1)) current = close(current);
    if (title && !notAFunction.has(title) && (language === 'Python' || trimmed.length < 400)) {
      if (current) close(current);
      current = { file: name, function: title, line: i + 1, lines: 0, complexity: 1, indent, depth };
    }
    if (current) { current.lines++; current.complexity += (line.match(branch) ?? []).length; }
    for (const c of line) { if (c === '{') deepest = Math.max(deepest, ++depth); else if (c === '}') depth--; }
  });
  if (current) close(current);
  const sum = (byLanguage[language] ??= { files: 0, lines: 0, code: 0, comments: 0, blank: 0 });
  sum.files++;
  for (const key of ['lines', 'code', 'comments', 'blank']) sum[key] += count[key];
  files.push({ file: name, language, ...count, deepest });
  const mistake = check(language, path.extname(file), text);
  if (mistake) mistakes.push({ file: name, ...mistake });
}

function close(done) {
  functions.push({ file: done.file, function: done.function, line: done.line, lines: done.lines, complexity: done.complexity });
  return null;
}

function check(language, extension, text) {
  try {
    if (language === 'JSON') JSON.parse(text);
    // Modules cannot be compiled this way, so only what has no import and export is checked.
    else if (extension === '.js' && !/^\s*(?:import|export)\b/m.test(text)) new vm.Script(text.replace(/^#!.*/, ''), { filename: 'file' });
    return null;
  } catch (error) {
    const line = /file:(\d+)/.exec(error.stack ?? '')?.[1];
    return { message: error.message, ...(line ? { line: Number(line) } : {}) };
  }
}
