const GuidPattern = /^[{(]?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})[)}]?$/i;
const EmptyGuid = '00000000-0000-0000-0000-000000000000';

class Guid {
  constructor(text) { this._text = text === undefined ? EmptyGuid : guidText(text); }
  static NewGuid() { return new Guid(newGuidText()); }
  static Parse(text) { return new Guid(text); }
  static get Empty() { return new Guid(); }
  Equals(other) { return other instanceof Guid && other._text === this._text; }
  CompareTo(other) { return this._text < other._text ? -1 : this._text > other._text ? 1 : 0; }
  ToByteArray() { return guidBytes(this._text); }
  ToString(format) {
    switch (format) {
      case 'N': case 'n': return this._text.replaceAll('-', '');
      case 'B': case 'b': return `{${this._text}}`;
      case 'P': case 'p': return `(${this._text})`;
      default: return this._text;
    }
  }
  toString() { return this._text; }
  toJSON() { return this._text; }
}

function guidText(text) {
  const match = GuidPattern.exec(String(text).trim());
  if (match === null) throw new TypeError(`'${text}' is not a GUID.`);
  return match.slice(1).join('-').toLowerCase();
}

// Version 4, as Guid.NewGuid makes them.
function newGuidText() {
  let hex = '';
  for (let i = 0; i < 4; i++) {
    let word = randomWord();
    if (i === 1) word = ((word & 0xffff0fff) | 0x4000) >>> 0;
    if (i === 2) word = ((word & 0x3fffffff) | 0x80000000) >>> 0;
    hex += pad(word.toString(16), 8);
  }
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

// .NET stores the first three groups with the low byte first.
function guidBytes(text) {
  const hex = text.replaceAll('-', '');
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return Uint8Array.from(order, at => parseInt(hex.slice(at * 2, at * 2 + 2), 16));
}

function newShortGuidText() {
  return encodeBase64(guidBytes(newGuidText())).replace(/[/+=]/g, '');
}

class Random {
  // A seed makes the sequence repeatable; it is not .NET's sequence.
  constructor(seed) {
    const first = seed === undefined ? randomWord() : seed >>> 0;
    this._state = [first, first ^ 0x9e3779b9, first ^ 0x243f6a88, 0xb7e15163];
    for (let i = 0; i < 8; i++) nextWord(this._state);
  }
  static get Shared() { return new Random(); }
  NextDouble() { return nextWord(this._state) / 4294967296; }
  Next(a, b) {
    const low = b === undefined ? 0 : a;
    const high = b === undefined ? (a === undefined ? 2147483647 : a) : b;
    if (low > high) throw new RangeError('The lower bound of Random.Next lies above its upper bound.');
    return low + floor(this.NextDouble() * (high - low));
  }
  NextInt64(a, b) { return this.Next(a, b); }
  NextBytes(target) {
    for (let i = 0; i < target.length; i++) target[i] = nextWord(this._state) & 255;
  }
}

const LogPersistenceMode = freeze({
  Inherit: 'Inherit', Include: 'Include', Exclude: 'Exclude', Configuration: 'Configuration',
});

/** Header names with one or more values each. */
class HttpHeaders {
  constructor(init) {
    for (const key of isObject(init) ? ownKeys(init) : []) this.Add(key, init[key]);
  }
  Add(name, value) {
    const values = isArray(value) ? value : [value];
    defineProperty(this, name, {
      value: values.map(String), enumerable: true, configurable: true, writable: true,
    });
  }
  get ContentType() {
    const key = ownKeys(this).find(name => name.toLowerCase() === 'content-type');
    return key === undefined ? null : this[key][0];
  }
}

/** A file to send: bytes or text with a name and a content type. */
class Downloadable {
  constructor(content, filename = null, contentType = null, eTag = null) {
    this.Content = content;
    this.Filename = filename;
    this.ContentType = contentType;
    this.ETag = eTag;
  }
}

/** Names a retry strategy of the HTTP module and carries its settings. */
class HttpResilienceStrategy {
  constructor(settings) {
    for (const key of isObject(settings) ? ownKeys(settings) : []) {
      defineProperty(this, key, { value: settings[key], enumerable: true, configurable: true, writable: true });
    }
  }
}
