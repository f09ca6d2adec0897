// Frames look like "at f (script.js:1:2)"; an early error has no function and thus no parenthesis.
const ScriptFrame = /(\()?script\.js:(\d+):(\d+)/;
const MaxSourceLine = 200;
let settled = false;
let rejected = false;
let outcome;
let lineShift = 0;

/** Reads the request and returns the script to evaluate. */
function prepare(text) {
  request = parseJson(text);
  addAccessors();
  return request.script;
}

/** Takes the script's value; options are the number of wrapper lines, plus 2 for a top-level await. */
function finish(value, options) {
  lineShift = options & 1;
  const awaited = (options & 2) !== 0;
  if (!awaited && !isThenable(value)) return 'R' + result(value);
  const promise = new PromiseType(resolve => resolve(value));
  apply(promiseThen, promise, [
    // The engine boxes the value of a script with a top-level await.
    value => {
      settled = true;
      outcome = awaited ? value.value : value;
      if (awaited && isThenable(outcome)) again(outcome);
    },
    error => {
      settled = true;
      rejected = true;
      outcome = error;
    },
  ]);
  return '';
}

const isThenable = value => isObject(value) && typeof value.then === 'function';

function again(value) {
  settled = false;
  finish(value, lineShift);
}

/** The answer after all promises have run. */
function collect() {
  if (!settled) return 'E' + stringifyJson({
    kind: 'error', name: 'Error', message: 'The script waits for a promise that nothing settles.',
  });
  return rejected ? fail(outcome, lineShift) : 'R' + result(outcome);
}

function result(value) {
  let answer = '{' + encodeMembers(value, 'The result');
  const changed = changedVariables();
  if (changed !== '') answer += ',"variables":{' + changed + '}';
  if (correlationId !== undefined) answer += ',"correlationId":' + stringifyJson(correlationId);
  if (instanceName !== undefined) answer += ',"instanceName":' + stringifyJson(instanceName);
  if (outcomes !== undefined) answer += ',"outcomes":' + texts(outcomes);
  if (logLines.length > 0) answer += ',"log":' + texts(logLines);
  return answer + '}';
}

// Not JSON.stringify on the array: a script may have given arrays a toJSON.
function texts(lines) {
  let json = '[';
  for (let i = 0; i < lines.length; i++) json += (i === 0 ? '' : ',') + stringifyJson(lines[i]);
  return json + ']';
}

function fail(error, shift) {
  const report = create(null);
  report.kind = 'error';
  if (isObject(error)) {
    report.name = textOf(error, 'name') ?? 'Error';
    report.message = textOf(error, 'message') ?? describe(error);
    if (report.name === 'SyntaxError') report.kind = 'syntax';
    if (report.name === 'InternalError' && report.message === 'out of memory') report.kind = 'memory';
    locate(report, textOf(error, 'stack') ?? '', shift);
  } else {
    report.name = 'Error';
    report.message = describe(error);
  }
  return 'E' + stringifyJson(report);
}

function locate(report, stack, shift) {
  const frame = apply(matchPattern, ScriptFrame, [stack]);
  const early = frame !== null && frame[1] === undefined;
  // The script may itself have thrown a SyntaxError, as JSON.parse does.
  if (report.kind === 'syntax' && !early) report.kind = 'error';
  if (frame === null || request === null) return;
  const line = max(frame[2] - shift, 1);
  report.line = line;
  report.column = +frame[3];
  report.sourceLine = sourceLine(line);
}

function sourceLine(line) {
  const source = String(request.script);
  let start = 0;
  for (let i = 1; i < line; i++) {
    const end = apply(indexOfText, source, ['\n', start]);
    if (end < 0) return '';
    start = end + 1;
  }
  const end = apply(indexOfText, source, ['\n', start]);
  const text = apply(sliceText, source, [start, min(end < 0 ? source.length : end, start + MaxSourceLine)]);
  return text[text.length - 1] === '\r' ? apply(sliceText, text, [0, -1]) : text;
}

// A getter of the thrown object may throw in turn.
function textOf(object, key) {
  try {
    const value = object[key];
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}

function describe(value) {
  try {
    return isObject(value) ? toJsonText(value, 'The thrown value') : String(value);
  } catch {
    return 'The script threw a value that has no text.';
  }
}

return { prepare, finish, collect, fail };
