// A value travels as {"v": JSON, "t"?: type}; README.md lists the types.

function revive(wire) {
  if (wire === null || wire === undefined || wire.v === null || wire.v === undefined) return null;
  switch (wire.t) {
    case undefined: return wire.v;
    case 'DateTime': return DateTime.Parse(wire.v);
    case 'DateTimeOffset': return DateTimeOffset.Parse(wire.v);
    case 'TimeSpan': return TimeSpan.Parse(wire.v);
    case 'Guid': return new Guid(wire.v);
    case 'Bytes': return decodeBase64(wire.v);
    case 'Decimal': return Number(wire.v);
    case 'Int64': return reviveInteger(wire.v);
    default: return wire.v;
  }
}

function reviveInteger(value) {
  const number = Number(value);
  return isSafeInteger(number) || typeof value === 'number' ? number : BigInt(value);
}

/** The members of the wire object, without its braces. */
function encodeMembers(value, what) {
  switch (typeof value) {
    case 'string': return '"v":' + stringifyJson(value);
    case 'number': return isFiniteNumber(value) ? '"v":' + value : '"v":null';
    case 'boolean': return value ? '"v":true' : '"v":false';
    case 'bigint': return '"v":' + value + ',"t":"Int64"';
    case 'object': return value === null ? '"v":null' : encodeObject(value, what);
    default: return '"v":null';
  }
}

const encode = (value, what) => '{' + encodeMembers(value, what) + '}';

function encodeObject(value, what) {
  const type = typeOf(value);
  if (type === 'Date') return '"v":' + stringifyJson(apply(dateToIso, value, [])) + ',"t":"DateTime"';
  if (type === 'Bytes') return '"v":"' + encodeBase64(toBytes(value)) + '","t":"Bytes"';
  const json = toJsonText(value, what);
  return type === null ? '"v":' + json : '"v":' + json + ',"t":"' + type + '"';
}

function typeOf(value) {
  if (value instanceof DateTime) return 'DateTime';
  if (value instanceof DateTimeOffset) return 'DateTimeOffset';
  if (value instanceof TimeSpan) return 'TimeSpan';
  if (value instanceof Guid) return 'Guid';
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) return 'Bytes';
  // An invalid date has no ISO text; like NaN it becomes null.
  return value instanceof Date && isFiniteNumber(value.getTime()) ? 'Date' : null;
}

function toJsonText(value, what) {
  let json;
  try {
    json = stringifyJson(value);
  } catch (error) {
    if (!(error instanceof TypeError) || apply(indexOfText, error.message, ['circular']) < 0) throw error;
    throw new TypeError(`${what} contains itself somewhere (a circular reference), so it cannot be kept as JSON.`);
  }
  return json === undefined ? 'null' : json;
}

hide(BigInt.prototype, 'toJSON', function toJSON() {
  const number = Number(this);
  return isSafeInteger(number) ? number : String(this);
});
