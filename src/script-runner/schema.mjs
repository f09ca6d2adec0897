import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { Cache } from './cache.mjs';

const MaxErrors = 100;
const options = { strict: false, allErrors: true, validateFormats: true, addUsedSchema: false, logger: false };
const validators = new Cache(500, 8 * 1024 * 1024);
const draft07 = /^https?:\/\/json-schema\.org\/draft-0[67]\/schema#?$/;

let current;
let older;

/** The payload is the schema's length (u32), the schema and the value, both as JSON. */
export function validateJson(payload) {
  const length = payload.readUInt32LE(0);
  const validate = validators.getOrAdd(payload.toString('utf8', 4, 4 + length), compile);
  const valid = validate(JSON.parse(payload.toString('utf8', 4 + length)));
  const errors = valid ? [] : validate.errors.slice(0, MaxErrors).map(describe);
  return Buffer.from(JSON.stringify({ valid, errors }));
}

function compile(text) {
  try {
    const schema = JSON.parse(text);
    const ajv = draft07.test(schema?.$schema) ? older ??= create(Ajv) : current ??= create(Ajv2020);
    try {
      return ajv.compile(schema);
    } finally {
      // Two schemas may carry the same $id, and our own cache is the bounded one.
      if (schema !== null && typeof schema === 'object') ajv.removeSchema(schema);
    }
  } catch (error) {
    const report = new Error(/can't resolve reference/.test(error.message)
      ? `The JSON Schema refers to another document, which is not loaded: ${error.message}.`
      : `The JSON Schema cannot be used: ${error.message}.`);
    report.kind = 'schema';
    throw report;
  }
}

function create(Type) {
  return addFormats(new Type(options));
}

function describe(error) {
  return { path: error.instancePath, keyword: error.keyword, message: detail(error) };
}

// Ajv's own text leaves out which property or value it means.
function detail({ keyword, message, params }) {
  switch (keyword) {
    case 'additionalProperties': return `${message}: '${params.additionalProperty}'`;
    case 'unevaluatedProperties': return `${message}: '${params.unevaluatedProperty}'`;
    case 'enum': return `${message}: ${JSON.stringify(params.allowedValues)}`;
    case 'const': return `${message}: ${JSON.stringify(params.allowedValue)}`;
    default: return message;
  }
}
