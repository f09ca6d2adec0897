const Base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const Base64Values = new Int8Array(128).fill(-1);
for (let i = 0; i < 64; i++) Base64Values[Base64Digits.charCodeAt(i)] = i;
const Chunk = 8192;

function toBytes(value) {
  if (value === null || value === undefined) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (isArray(value)) return Uint8Array.from(value);
  if (typeof value === 'string') return decodeBase64(value);
  throw new TypeError('Expected bytes: a Uint8Array, an array of numbers or a base64 string.');
}

function encodeBase64(bytes) {
  let text = '';
  let i = 0;
  for (; i + 2 < bytes.length; i += 3) {
    const word = (bytes[i] << 16) | (bytes[i + 1] << 8) | bytes[i + 2];
    text += Base64Digits[word >> 18] + Base64Digits[(word >> 12) & 63] +
      Base64Digits[(word >> 6) & 63] + Base64Digits[word & 63];
  }
  const rest = bytes.length - i;
  if (rest === 1) text += Base64Digits[bytes[i] >> 2] + Base64Digits[(bytes[i] & 3) << 4] + '==';
  if (rest === 2) {
    const word = (bytes[i] << 8) | bytes[i + 1];
    text += Base64Digits[word >> 10] + Base64Digits[(word >> 4) & 63] + Base64Digits[(word & 15) << 2] + '=';
  }
  return text;
}

function decodeBase64(text) {
  const source = String(text);
  const bytes = new Uint8Array((source.length * 3) >> 2);
  let length = 0;
  let bits = 0;
  let word = 0;
  for (let i = 0; i < source.length; i++) {
    const code = source.charCodeAt(i);
    if (code === 61 || code === 32 || code === 10 || code === 13) continue;
    // Both alphabets of RFC 4648 are read: "-" and "_" stand for "+" and "/".
    const value = code === 45 ? 62 : code === 95 ? 63 : code < 128 ? Base64Values[code] : -1;
    if (value < 0) throw new TypeError(`The text is not base64: unexpected character at position ${i}.`);
    word = ((word << 6) | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[length++] = (word >> bits) & 255;
    }
  }
  return bytes.slice(0, length);
}

function encodeUtf8(text) {
  const source = String(text).toWellFormed();
  const binary = unescape(encodeURIComponent(source));
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function decodeUtf8(bytes) {
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  let binary = '';
  for (let i = start; i < bytes.length; i += Chunk) {
    binary += apply(fromCharCode, null, bytes.subarray(i, i + Chunk));
  }
  try {
    return decodeURIComponent(escape(binary));
  } catch {
    return decodeDamagedUtf8(bytes.subarray(start));
  }
}

// One U+FFFD for each byte that does not belong to a well-formed sequence.
function decodeDamagedUtf8(bytes) {
  let text = '';
  for (let i = 0; i < bytes.length;) {
    const first = bytes[i];
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    let piece = '%' + hex2(first);
    for (let j = 1; j < length && i + j < bytes.length; j++) piece += '%' + hex2(bytes[i + j]);
    try {
      text += decodeURIComponent(piece);
      i += length;
    } catch {
      text += '\ufffd';
      i++;
    }
  }
  return text;
}

const hex2 = byte => (byte < 16 ? '0' : '') + byte.toString(16);

hide(Uint8Array.prototype, 'toJSON', function toJSON() { return encodeBase64(this); });
