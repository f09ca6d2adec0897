// The files of this folder are one function body, joined in the order that sandbox.mjs lists.
// Everything the answer is built with is taken before a script can replace it.
const { parse: parseJson, stringify: stringifyJson } = JSON;
const { defineProperty, create, freeze } = Object;
const { apply, ownKeys } = Reflect;
const { isFinite: isFiniteNumber, isSafeInteger } = Number;
const { isArray, from: arrayFrom } = Array;
const { floor, round, abs, trunc, sign, min, max } = Math;
const { fromCharCode } = String;
const PromiseType = Promise;
const promiseThen = Promise.prototype.then;
const ownProperty = Object.prototype.hasOwnProperty;
const indexOfText = String.prototype.indexOf;
const sliceText = String.prototype.slice;
const matchPattern = RegExp.prototype.exec;
const dateToIso = Date.prototype.toISOString;

const hasOwn = (object, key) => apply(ownProperty, object, [key]);
const isObject = value => value !== null && (typeof value === 'object' || typeof value === 'function');

// Shared memory has no use here.
delete globalThis.SharedArrayBuffer;

function hide(target, name, value) {
  defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
}

// One seed per evaluation at most: the engine's own generator would repeat itself after a restore.
let randomState = null;
let randomAt = 4;

function randomWord() {
  if (randomAt === 4) {
    randomState = parseJson(native('random', ''));
    randomAt = 0;
  }
  return randomState[randomAt++];
}

// xorshift128 for Math.random, seeded from the host's cryptographic generator.
let weakState = null;
hide(Math, 'random', function random() {
  if (weakState === null) weakState = [randomWord(), randomWord(), randomWord(), randomWord() | 1];
  return nextWord(weakState) / 4294967296;
});

function nextWord(state) {
  let t = state[3];
  t ^= t << 11;
  t ^= t >>> 8;
  state[3] = state[2];
  state[2] = state[1];
  state[1] = state[0];
  t ^= state[0] ^ (state[0] >>> 19);
  state[0] = t >>> 0;
  return t >>> 0;
}
