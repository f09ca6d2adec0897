// The request of this evaluation and what the script has touched or set so far.
let request = null;
const cells = create(null);
const touched = [];
let hostInputs = null;
let hostOutputs = null;
let hostConfig = null;
let correlationId;
let instanceName;
let outcomes;
const logLines = [];

function ask(what, parameters) {
  const reply = parseJson(native('call', stringifyJson({ function: what, arguments: parameters })));
  if (reply.error !== undefined) throw new Error(reply.error);
  return revive(reply);
}

function known(map, name) {
  return isObject(map) && hasOwn(map, name) ? map[name] : undefined;
}

function variableCell(name) {
  let cell = cells[name];
  if (cell !== undefined) return cell;
  const wire = known(request.variables, name);
  const value = wire !== undefined ? revive(wire) : request.lazy === true ? ask('variable', { name }) : null;
  cell = { name, value, before: isObject(value) ? encode(value, name) : null, assigned: false };
  cells[name] = cell;
  touched[touched.length] = cell;
  return cell;
}

function readVariable(name) {
  return variableCell(name).value;
}

function writeVariable(name, value) {
  let cell = cells[name];
  if (cell === undefined) {
    cell = { name, value, before: null, assigned: true };
    cells[name] = cell;
    touched[touched.length] = cell;
  }
  cell.value = value === undefined ? null : value;
  cell.assigned = true;
}

function readInput(name) {
  const wire = known(request.input, name);
  if (wire !== undefined) return revived(wire);
  if (request.lazy !== true) return null;
  hostInputs ??= create(null);
  return name in hostInputs ? hostInputs[name] : hostInputs[name] = ask('input', { name });
}

function readOutput(activity, output) {
  const wire = known(known(request.outputs, activity), output);
  if (wire !== undefined) return revived(wire);
  if (request.lazy !== true) return null;
  hostOutputs ??= create(null);
  const key = stringifyJson([activity, output]);
  return key in hostOutputs ? hostOutputs[key] : hostOutputs[key] = ask('output', { activity, name: output });
}

function readArgument(name) {
  const wire = known(request.args, name);
  return wire === undefined ? null : revived(wire);
}

function readConfig(name) {
  const wire = known(request.config, name);
  if (wire !== undefined) return revived(wire);
  if (request.lazy !== true) return null;
  hostConfig ??= create(null);
  return name in hostConfig ? hostConfig[name] : hostConfig[name] = ask('config', { name });
}

// Reading a value twice gives the same object.
function revived(wire) {
  if (wire === null || wire.t === undefined) return revive(wire);
  return hasOwn(wire, 'o') ? wire.o : wire.o = revive(wire);
}

/** `variables.x`: reads and writes go to the same cells as getVariable and setVariable. */
const variables = new Proxy(create(null), {
  get: (_, name) => typeof name === 'symbol' ? undefined : readVariable(name),
  set: (_, name, value) => { writeVariable(String(name), value); return true; },
  has: (_, name) => typeof name !== 'symbol' &&
    (cells[name] !== undefined || known(request.variables, name) !== undefined),
  deleteProperty: (_, name) => { writeVariable(String(name), null); return true; },
  defineProperty: (_, name, descriptor) => { writeVariable(String(name), descriptor.value); return true; },
  ownKeys: () => variableNames(),
  getOwnPropertyDescriptor: (_, name) => typeof name === 'symbol' ? undefined
    : { value: readVariable(name), writable: true, enumerable: true, configurable: true },
});

function variableNames() {
  const names = isObject(request.variables) ? ownKeys(request.variables) : [];
  for (let i = 0; i < touched.length; i++) {
    if (known(request.variables, touched[i].name) === undefined) names[names.length] = touched[i].name;
  }
  return names;
}

/** The variables to write back as JSON members, or '' when there is none. */
function changedVariables() {
  let members = '';
  for (let i = 0; i < touched.length; i++) {
    const cell = touched[i];
    if (!cell.assigned && cell.before === null) continue;
    const after = encode(cell.value, `The variable '${cell.name}'`);
    if (cell.assigned || after !== cell.before) {
      members += (members === '' ? '' : ',') + stringifyJson(cell.name) + ':' + after;
    }
  }
  return members;
}
