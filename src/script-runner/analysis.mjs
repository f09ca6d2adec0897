import { parse } from 'acorn';

const MaxBytes = 256 * 1024;
const MaxFindings = 50;

const unreachable = name => `'${name}' reaches out of the script, which is not allowed.`;

/** Names that a script may not even mention, and why. As the name of a member they do no harm. */
const forbiddenNames = new Map(Object.entries({
  eval: ['eval', "'eval' runs text as code. Write the code itself."],
  Function: ['function-constructor', "'Function' runs text as code. Write the function itself."],
  require: ['import', "'require' loads other code. Everything has to be in this one file."],
  WebAssembly: ['web-assembly', "'WebAssembly' runs code that cannot be checked. Write it in JavaScript."],
  process: ['host', unreachable('process')],
  global: ['host', unreachable('global')],
  globalThis: ['host', unreachable('globalThis')],
  window: ['host', unreachable('window')],
  self: ['host', unreachable('self')],
  Deno: ['host', unreachable('Deno')],
  Bun: ['host', unreachable('Bun')],
  Buffer: ['host', "'Buffer' belongs to Node.js and is not here. Use bytesFromString, bytesToBase64 and their like."],
  __dirname: ['host', unreachable('__dirname')],
  __filename: ['host', unreachable('__filename')],
  SharedArrayBuffer: ['host', unreachable('SharedArrayBuffer')],
  Atomics: ['host', unreachable('Atomics')],
  Reflect: ['prototype', "'Reflect' gets round the rules for objects. Use the plain operators."],
  Proxy: ['prototype', "'Proxy' makes objects that do something else than they show. Use plain objects."],
  ['__proto__']: ['prototype', "'__proto__' changes what all objects have in common."],
  fetch: ['network', "'fetch' is not here. Use ctx.http, which keeps to the hosts that the agent may call."],
  XMLHttpRequest: ['network', "'XMLHttpRequest' is not here. Use ctx.http."],
  WebSocket: ['network', "'WebSocket' is not here. Use ctx.http."],
  setTimeout: ['timer', "'setTimeout' is not here: a tool computes its answer and ends."],
  setInterval: ['timer', "'setInterval' is not here: a tool computes its answer and ends."],
  setImmediate: ['timer', "'setImmediate' is not here: a tool computes its answer and ends."],
  getSecret: ['host', "'getSecret' is for workflows. An agent's tool has no secrets."],
  getConfig: ['host', "'getConfig' is for workflows. Take what the tool needs as a parameter."],
  createEventTriggerUrl: ['host', "'createEventTriggerUrl' is for workflows."],
}));

/** Members that nothing may be asked for, whatever it is. */
const forbiddenMembers = new Map(Object.entries({
  constructor: ['constructor', "'constructor' leads to the constructor of functions, which runs text as code."],
  prototype: ['prototype', "'prototype' is shared by all objects of a kind. Write a class or a function instead."],
  ['__proto__']: ['prototype', "'__proto__' changes what all objects have in common."],
  __defineGetter__: ['prototype', "'__defineGetter__' changes objects behind their back. Use a getter in an object or a class."],
  __defineSetter__: ['prototype', "'__defineSetter__' changes objects behind their back. Use a setter in an object or a class."],
  __lookupGetter__: ['prototype', "'__lookupGetter__' leads to the prototypes of objects."],
  __lookupSetter__: ['prototype', "'__lookupSetter__' leads to the prototypes of objects."],
  callee: ['caller', "'callee' leads to the function that runs. Give the function a name."],
  caller: ['caller', "'caller' leads to whoever calls the function."],
  setPrototypeOf: ['prototype', "'setPrototypeOf' changes what an object is. Use a class."],
  getPrototypeOf: ['prototype', "'getPrototypeOf' leads to what all objects of a kind share."],
}));

const builtIns = new Set([
  'Object', 'Array', 'String', 'Number', 'Boolean', 'Symbol', 'BigInt', 'Math', 'JSON', 'Date', 'RegExp', 'Map', 'Set', 'WeakMap', 'WeakSet',
  'Promise', 'Error', 'TypeError', 'RangeError', 'SyntaxError', 'Intl', 'console', 'ArrayBuffer', 'DataView', 'Uint8Array',
]);

const bidirectional = /[\u202a-\u202e\u2066-\u2069]/;
const loops = new Set(['WhileStatement', 'DoWhileStatement', 'ForStatement']);

/**
 * Reads a script as strict code and names what it must not do: [{ rule, message, line, column }], the first 50 in their order.
 * Nothing of it runs. What only shows when it runs is kept in by the sandbox.
 */
export function analyseScript(payload) {
  return Buffer.from(JSON.stringify({ findings: analyse(payload) }));
}

function analyse(payload) {
  if (payload.length > MaxBytes) return [{ rule: 'size', message: `The script is larger than ${MaxBytes / 1024} KB. Make it smaller.`, line: 1, column: 1 }];
  const source = payload.toString('utf8');
  if (!Buffer.from(source, 'utf8').equals(payload)) return [{ rule: 'syntax', message: 'The script is not valid UTF-8. Save it as UTF-8.', line: 1, column: 1 }];
  const findings = hiddenCharacters(source);
  let program;
  try {
    // Strict, as it runs. The directive stays on the first line, so that lines are those of the file.
    program = parse(`'use strict';${source}`, {
      ecmaVersion: 2023, sourceType: 'script', locations: true, allowHashBang: false,
      onComment(isBlock, _, start, __, loc) {
        // Not every engine skips them, and what is skipped here must be skipped everywhere.
        if (!isBlock && !source.startsWith('//', start - Directive)) findings.push(place({ rule: 'syntax', message: "Comments as in HTML are not JavaScript everywhere. Begin the comment with //." }, loc));
      },
    });
  } catch (error) {
    if (error.loc === undefined) throw error;
    findings.push(place(/'import' and 'export'/.test(error.message)
      ? { rule: 'import', message: "'import' and 'export' need other files. Everything has to be in this one file; tools are given as exports.tools = [...]." }
      : { rule: 'syntax', message: `The script is not JavaScript in strict mode: ${error.message.replace(/ \(\d+:\d+\)$/, '')}.` }, error.loc));
    return findings;
  }
  const check = new Check(findings);
  check.remember(program);
  check.visit(program, null, { isTop: true });
  findings.sort((a, b) => a.line - b.line || a.column - b.column);
  return findings.slice(0, MaxFindings);
}

function hiddenCharacters(source) {
  if (!bidirectional.test(source)) return [];
  const lines = source.split('\n');
  const line = lines.findIndex(text => bidirectional.test(text));
  return [{ rule: 'hidden-characters', message: 'A character that turns the direction of text makes the code look like something else. Write it as an escape, such as \\u202e.',
    line: line + 1, column: lines[line].search(bidirectional) + 1 }];
}

const Directive = "'use strict';".length;

function place(finding, { line, column }) {
  return { ...finding, line, column: (line === 1 ? Math.max(0, column - Directive) : column) + 1 };
}

class Check {
  #findings;
  #texts = new Map();

  constructor(findings) {
    this.#findings = findings;
  }

  /** Goes through a node and what it is made of. `isTop`: runs when the script is loaded, not when a tool is called. */
  visit(node, parent, scope) {
    this.#judge(node, parent, scope);
    const inner = isFunction(node) ? { isTop: scope.isTop && isCalledAtOnce(node, parent) } : scope;
    for (const part of partsOf(node)) this.visit(part, node, inner);
  }

  /** Notes variables that only ever hold one text: `const key = 'constructor'` is as good as the text itself. */
  remember(node) {
    for (const part of partsOf(node)) this.remember(part);
    if (node.type === 'VariableDeclarator' && node.id.type === 'Identifier' && node.init) this.#holds(node.id.name, node.init);
    if (node.type === 'AssignmentExpression' && node.left.type === 'Identifier') this.#holds(node.left.name, node.operator === '=' ? node.right : null);
  }

  #holds(name, expression) {
    const text = expression === null ? null : this.#text(expression);
    this.#texts.set(name, this.#texts.has(name) && this.#texts.get(name) !== text ? null : text);
  }

  #judge(node, parent, scope) {
    switch (node.type) {
      case 'Identifier': return isPlainName(node, parent) && this.#name(node);
      case 'MemberExpression': return this.#member(node, this.#memberName(node));
      case 'Property': return this.#property(node, parent);
      case 'ImportExpression': return this.#add('import', "'import' loads other code. Everything has to be in this one file.", node);
      case 'MetaProperty': return node.meta.name === 'import' && this.#add('import', "'import' loads other code.", node);
      case 'DebuggerStatement': return this.#add('debugger', "'debugger' stops the program. Take it out.", node);
      case 'AssignmentExpression': return this.#assigned(node.left);
      case 'UpdateExpression': return this.#assigned(node.argument);
      case 'UnaryExpression': return node.operator === 'delete' && this.#assigned(node.argument);
      case 'CallExpression': return this.#called(node);
      default: return loops.has(node.type) && scope.isTop && this.#loop(node);
    }
  }

  #name(node) {
    const forbidden = forbiddenNames.get(node.name);
    if (forbidden) this.#add(...forbidden, node);
  }

  #member(node, name) {
    const forbidden = name === null ? undefined : forbiddenMembers.get(name);
    if (forbidden) this.#add(...forbidden, node.property);
    // globalThis and its like are refused by their name; module.require and this.eval by the member's.
    if (name === 'eval' || name === 'require') this.#add(...forbiddenNames.get(name), node.property);
  }

  // { __proto__: x } sets the prototype; { constructor: C } = f takes the constructor.
  #property(node, parent) {
    const name = node.computed ? this.#text(node.key) : node.key.name ?? node.key.value;
    if (name === '__proto__' || (parent?.type === 'ObjectPattern' && forbiddenMembers.has(name))) this.#add(...forbiddenMembers.get(name), node.key);
  }

  #assigned(target) {
    const root = rootOf(target);
    if (target.type === 'MemberExpression' && root?.type === 'Identifier' && builtIns.has(root.name)) {
      this.#add('built-in', `'${root.name}' belongs to everybody and may not be changed. Write a function of your own.`, target);
    } else if (target.type === 'Identifier' && builtIns.has(target.name)) {
      this.#add('built-in', `'${target.name}' belongs to everybody and may not be replaced.`, target);
    }
  }

  // Object.assign(Math, …), Object.defineProperty(JSON, …)
  #called(node) {
    const { callee } = node;
    if (callee.type !== 'MemberExpression' || callee.object.type !== 'Identifier' || callee.object.name !== 'Object') return;
    const name = this.#memberName(callee);
    if (!['assign', 'defineProperty', 'defineProperties', 'freeze', 'seal', 'preventExtensions'].includes(name)) return;
    const root = node.arguments.length > 0 ? rootOf(node.arguments[0]) : null;
    if (root?.type === 'Identifier' && builtIns.has(root.name)) {
      this.#add('built-in', `'${root.name}' belongs to everybody and may not be changed. Write a function of your own.`, node.arguments[0]);
    }
  }

  #loop(node) {
    const test = node.test;
    const isEndless = test === null || test === undefined || (test.type === 'Literal' && Boolean(test.value)) ||
      (test.type === 'UnaryExpression' && test.operator === '!' && test.argument.type === 'Literal' && !test.argument.value);
    if (isEndless && !leaves(node.body, node)) this.#add('endless-loop', 'This loop never ends, so that the script could never be loaded.', node);
  }

  #memberName(node) {
    return node.computed ? this.#text(node.property) : node.property.name ?? null;
  }

  /** The text that an expression always gives; null when that is open. */
  #text(node) {
    switch (node.type) {
      case 'Literal': return node.regex || node.bigint ? null : String(node.value);
      case 'Identifier': return this.#texts.get(node.name) ?? null;
      case 'TemplateLiteral': return this.#joined([...node.quasis, ...node.expressions].sort((a, b) => a.start - b.start));
      case 'BinaryExpression': return node.operator === '+' ? this.#joined([node.left, node.right]) : null;
      case 'SequenceExpression': return this.#text(node.expressions[node.expressions.length - 1]);
      case 'ParenthesizedExpression': return this.#text(node.expression);
      case 'ArrayExpression': return node.elements.length === 1 && node.elements[0] !== null ? this.#text(node.elements[0]) : null;
      default: return null;
    }
  }

  #joined(parts) {
    let text = '';
    for (const part of parts) {
      const piece = part.type === 'TemplateElement' ? part.value.cooked : this.#text(part);
      if (piece === null || piece === undefined) return null;
      text += piece;
    }
    return text;
  }

  #add(rule, message, node) {
    this.#findings.push(place({ rule, message }, node.loc.start));
  }
}

const isNode = value => value !== null && typeof value === 'object' && typeof value.type === 'string';

function* partsOf(node) {
  for (const key in node) {
    const value = node[key];
    if (Array.isArray(value)) yield* value.filter(isNode);
    else if (isNode(value)) yield value;
  }
}

const isFunction = node => node.type === 'FunctionExpression' || node.type === 'ArrowFunctionExpression' || node.type === 'FunctionDeclaration';

// (function () { … })() runs when the script is loaded.
const isCalledAtOnce = (node, parent) => parent?.type === 'CallExpression' && parent.callee === node;

/** Whether an identifier is a name of its own, not that of a member, a key or a label. */
function isPlainName(node, parent) {
  switch (parent?.type) {
    case 'MemberExpression': return parent.object === node || parent.computed;
    case 'Property': return parent.value === node || parent.computed;
    case 'MethodDefinition': case 'PropertyDefinition': return parent.value === node || parent.computed;
    case 'LabeledStatement': case 'BreakStatement': case 'ContinueStatement': return false;
    default: return true;
  }
}

function rootOf(node) {
  while (node.type === 'MemberExpression' || node.type === 'ChainExpression') node = node.type === 'ChainExpression' ? node.expression : node.object;
  return node;
}

/** Whether something in a loop's body leaves the loop. */
function leaves(node, loop) {
  if (isFunction(node) || node.type === 'ClassBody') return false;
  if (node.type === 'ReturnStatement' || node.type === 'ThrowStatement') return true;
  if (node.type === 'BreakStatement') return node.label !== null || loop !== null;
  // A break without a label in here leaves the inner statement.
  const inner = loops.has(node.type) || node.type === 'ForOfStatement' || node.type === 'ForInStatement' || node.type === 'SwitchStatement' ? null : loop;
  for (const part of partsOf(node)) {
    if (leaves(part, inner)) return true;
  }
  return false;
}
