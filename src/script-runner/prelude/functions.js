const nothing = value => value === undefined ? null : value;
const workflow = key => nothing(known(request.workflow, key));

const functions = {
  getWorkflowDefinitionId: () => workflow('definitionId'),
  getWorkflowDefinitionVersionId: () => workflow('definitionVersionId'),
  getWorkflowDefinitionVersion: () => workflow('version'),
  getWorkflowInstanceId: () => workflow('instanceId'),
  getCorrelationId: () => correlationId === undefined ? workflow('correlationId') : correlationId,
  setCorrelationId(value) { correlationId = textOrNull(value); },
  getWorkflowInstanceName: () => instanceName === undefined ? workflow('instanceName') : instanceName,
  setWorkflowInstanceName(value) { instanceName = textOrNull(value); },

  getVariable: name => readVariable(String(name)),
  setVariable(name, value) { writeVariable(String(name), value); },
  getInput: name => readInput(String(name)),
  getOutputFrom: (activity, output) => readOutput(String(activity), output === undefined ? 'Result' : String(output)),
  getLastResult: () => isObject(request.lastResult) ? revived(request.lastResult) : null,

  isNullOrWhiteSpace: text => text === null || text === undefined || String(text).trim() === '',
  isNullOrEmpty: text => text === null || text === undefined || String(text) === '',
  toJson: value => toJsonText(value, 'The value'),
  parseGuid: text => Guid.Parse(text),
  newGuid: () => Guid.NewGuid(),
  newGuidString: () => newGuidText(),
  newShortGuid: () => newShortGuidText(),
  getGuidString: () => newGuidText(),
  getShortGuid: () => newShortGuidText(),
  bytesToString: bytes => decodeUtf8(toBytes(bytes)),
  bytesFromString: text => encodeUtf8(text),
  bytesToBase64: bytes => encodeBase64(toBytes(bytes)),
  bytesFromBase64: text => decodeBase64(text),
  stringToBase64: text => encodeBase64(encodeUtf8(text)),
  stringFromBase64: text => decodeUtf8(decodeBase64(text)),
  streamToBytes: stream => toBytes(stream),
  streamToBase64: stream => encodeBase64(toBytes(stream)),

  createEventTriggerUrl: (eventName, limit) => ask('eventTriggerUrl', triggerUrl(eventName, limit)),
  // The executor's throw becomes a rejection.
  getSecret: name => new PromiseType(resolve => resolve(ask('secret', { name: String(name) }))),
};

const types = {
  DateTime, DateTimeOffset, TimeSpan, Guid, Random,
  LogPersistenceMode, HttpHeaders, Downloadable, HttpResilienceStrategy,
};

for (const name of ownKeys(functions)) hide(globalThis, name, functions[name]);
for (const name of ownKeys(types)) hide(globalThis, name, types[name]);
hide(globalThis, 'variables', variables);
hide(globalThis, 'args', {});
hide(globalThis, 'console', { log, info: log, warn: log, error: log, debug: log });

function textOrNull(value) {
  return value === null || value === undefined ? null : String(value);
}

function triggerUrl(eventName, limit) {
  const parameters = { eventName: String(eventName) };
  if (limit === null || limit === undefined) return parameters;
  if (limit instanceof TimeSpan) parameters.lifetime = limit.toString();
  else if (typeof limit === 'string' && parseSpan(limit) !== null) parameters.lifetime = limit;
  else if (limit instanceof Date || limit instanceof WallClock) parameters.expiresAt = limit.toJSON();
  else parameters.expiresAt = String(limit);
  return parameters;
}

const MaxLogLines = 100;
const MaxLogLength = 2000;

function log(...values) {
  if (logLines.length >= MaxLogLines) return;
  let line = '';
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const text = isObject(value) && typeof value !== 'function' ? toJsonText(value, 'The logged value') : String(value);
    line += (i === 0 ? '' : ' ') + text;
  }
  logLines[logLines.length] = line.length > MaxLogLength ? line.slice(0, MaxLogLength) + '…' : line;
}

// RunJavaScript only.
const outcomeFunctions = {
  setOutcome(name) { outcomes = [String(name)]; },
  setOutcomes(names) { outcomes = arrayFrom(names, String); },
};

// Scripts of tools only. What each may really use, the host decides.
const given = value => value === undefined ? null : value;
const toolContext = () => freeze({
  memory: freeze({
    get: key => ask('memory.get', { key: String(key) }),
    set(key, value) { ask('memory.set', { key: String(key), value: given(value) }); },
    delete: key => ask('memory.delete', { key: String(key) }),
    keys: prefix => ask('memory.keys', { prefix: prefix === undefined ? '' : String(prefix) }),
  }),
  files: freeze({
    read: path => ask('files.read', { path: String(path) }),
    write(path, content) { ask('files.write', { path: String(path), content: String(content) }); },
  }),
  http: freeze({
    request: options => ask('http', options),
    get: (url, headers) => ask('http', { method: 'GET', url: String(url), headers }),
    post: (url, body, headers) => ask('http', { method: 'POST', url: String(url), body: given(body), headers }),
  }),
  bus: freeze({ publish(name, payload) { ask('bus.publish', { name: String(name), payload: given(payload) }); } }),
  logger: freeze({
    debug(text) { ask('log', { level: 'debug', text: String(text) }); },
    info(text) { ask('log', { level: 'info', text: String(text) }); },
    warn(text) { ask('log', { level: 'warn', text: String(text) }); },
    error(text) { ask('log', { level: 'error', text: String(text) }); },
  }),
  home: freeze({
    state: entity => ask('home.state', { entity: String(entity) }),
    call: (domain, service, data) => ask('home.call', { domain: String(domain), service: String(service), data: given(data) }),
  }),
});

const AsciiIdentifier = /^[A-Za-z_$][A-Za-z0-9_$]*$/;
const Identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/** `order_total` gives `OrderTotal`; null for a name that is no identifier. */
function pascal(name) {
  if (!AsciiIdentifier.test(name) && !Identifier.test(name)) return null;
  const upper = name[0].toUpperCase() + name.slice(1);
  return name.includes('_') ? upper.replace(/(?:_+|^)([a-zA-Z])/g, (_, letter) => letter.toUpperCase()) : upper;
}

function addAccessor(name, fn) {
  if (!hasOwn(functions, name)) globalThis[name] = fn;
}

function addAccessors() {
  for (const name in request.input) {
    const suffix = pascal(name);
    if (suffix !== null) addAccessor('get' + suffix, () => readInput(name));
  }
  for (const activity in request.outputs) {
    const from = pascal(activity);
    for (const output in from === null ? null : request.outputs[activity]) {
      const suffix = pascal(output);
      if (suffix !== null) addAccessor('get' + suffix + 'From' + from, () => readOutput(activity, output));
    }
  }
  for (const name in request.args) {
    const value = readArgument(name);
    defineProperty(args, camel(name), { value, writable: true, configurable: true, enumerable: true });
    const suffix = pascal(name);
    if (suffix !== null) addAccessor('get' + suffix, () => readArgument(name));
  }
  for (const name in request.variables) {
    const suffix = pascal(name);
    if (suffix === null) continue;
    addAccessor('get' + suffix, () => readVariable(name));
    addAccessor('set' + suffix, value => writeVariable(name, value));
  }
  if (request.outcomes === true) {
    hide(globalThis, 'setOutcome', outcomeFunctions.setOutcome);
    hide(globalThis, 'setOutcomes', outcomeFunctions.setOutcomes);
  }
  if (request.tool === true) hide(globalThis, 'ctx', toolContext());
  if (isObject(request.config)) hide(globalThis, 'getConfig', key => readConfig(String(key)));
}

const camel = name => name[0].toLowerCase() + name.slice(1);
