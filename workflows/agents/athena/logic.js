// A small set of cases in which every pair of values of any two factors is there (pairwise testing, after Cohen et al., AETG, 1997: greedy).
const key = (a, i, b, j) => a < b ? `${a}:${i}|${b}:${j}` : `${b}:${j}|${a}:${i}`;

function allPairs(factors) {
  const open = new Set();
  for (let a = 0; a < factors.length; a++) {
    for (let b = a + 1; b < factors.length; b++) {
      for (let i = 0; i < factors[a].values.length; i++) for (let j = 0; j < factors[b].values.length; j++) open.add(key(a, i, b, j));
    }
  }
  return open;
}

function gain(row, at, value, open) {
  let count = 0;
  for (let other = 0; other < row.length; other++) if (other !== at && row[other] >= 0 && open.has(key(at, value, other, row[other]))) count++;
  return count;
}

function nextRow(factors, open) {
  const [seed] = open;
  const row = factors.map(() => -1);
  for (const part of seed.split('|')) {
    const [at, value] = part.split(':').map(Number);
    row[at] = value;
  }
  for (let at = 0; at < row.length; at++) {
    if (row[at] >= 0) continue;
    let best = 0;
    for (let value = 1; value < factors[at].values.length; value++) if (gain(row, at, value, open) > gain(row, at, best, open)) best = value;
    row[at] = best;
  }
  return row;
}

exports.tools = [{
  name: 'pairs',
  description: 'Makes a small set of test cases in which every pair of values of any two inputs is there at least once, instead of all combinations.',
  readOnly: true,
  idempotent: true,
  parameters: {
    type: 'object',
    required: ['factors'],
    additionalProperties: false,
    properties: {
      factors: {
        type: 'array',
        minItems: 2,
        maxItems: 15,
        items: {
          type: 'object',
          required: ['name', 'values'],
          additionalProperties: false,
          properties: {
            name: { type: 'string', minLength: 1, maxLength: 60 },
            values: { type: 'array', minItems: 1, maxItems: 12, items: { type: ['string', 'number', 'boolean', 'null'] } },
          },
        },
      },
    },
  },
  run({ factors }) {
    const open = allPairs(factors);
    const pairs = open.size;
    const cases = [];
    while (open.size > 0) {
      const row = nextRow(factors, open);
      for (let a = 0; a < row.length; a++) for (let b = a + 1; b < row.length; b++) open.delete(key(a, row[a], b, row[b]));
      cases.push(Object.fromEntries(row.map((value, at) => [factors[at].name, factors[at].values[value]])));
    }
    return { cases, count: cases.length, insteadOf: factors.reduce((product, factor) => product * factor.values.length, 1), pairs };
  },
}];
