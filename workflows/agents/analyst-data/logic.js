// Describes a list of numbers: middle, spread, and what lies far out.
function quantile(sorted, share) {
  // Linear between neighbours: type 7 of Hyndman and Fan, as R, NumPy and spreadsheets do.
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  return low + 1 < sorted.length ? sorted[low] + (at - low) * (sorted[low + 1] - sorted[low]) : sorted[low];
}

function describe(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const count = sorted.length;
  const mean = sorted.reduce((sum, value) => sum + value / count, 0);
  const deviation = count > 1 ? Math.sqrt(sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1)) : 0;
  const [q1, median, q3] = [0.25, 0.5, 0.75].map(share => quantile(sorted, share));
  const reach = 1.5 * (q3 - q1);
  const outliers = sorted.filter(value => value < q1 - reach || value > q3 + reach);
  return { count, sum: mean * count, mean, standardDeviation: deviation, min: sorted[0], q1, median, q3, max: sorted[count - 1], outliers: outliers.slice(0, 50), outlierCount: outliers.length };
}

function notes(result) {
  const found = [];
  if (result.count < 20) found.push(`Only ${result.count} values: differences may well be chance.`);
  if (result.outlierCount > 0) found.push(`${result.outlierCount} values lie more than 1.5 interquartile ranges out: look at them, and give the median beside the mean.`);
  if (result.standardDeviation > 0 && Math.abs(result.mean - result.median) > result.standardDeviation / 2) found.push('Mean and median are far apart: the values are skewed.');
  if (result.min === result.max) found.push('All values are the same.');
  return found;
}

exports.tools = [{
  name: 'describe',
  description: 'Describes a list of numbers, or two lists beside each other: count, sum, mean, standard deviation, quartiles, values far out, and what to be careful about.',
  readOnly: true,
  idempotent: true,
  parameters: {
    type: 'object',
    required: ['values'],
    additionalProperties: false,
    properties: {
      values: { type: 'array', items: { type: 'number' }, minItems: 1, maxItems: 50000 },
      against: { type: 'array', items: { type: 'number' }, minItems: 1, maxItems: 50000, description: 'A second list to compare with.' },
    },
  },
  run({ values, against }) {
    const first = describe(values);
    if (against === undefined) return { ...first, notes: notes(first) };
    const second = describe(against);
    // Welch's t: how far the means are apart, in standard errors.
    const error = Math.sqrt(first.standardDeviation ** 2 / first.count + second.standardDeviation ** 2 / second.count);
    const distance = error > 0 ? (first.mean - second.mean) / error : null;
    return {
      values: { ...first, notes: notes(first) },
      against: { ...second, notes: notes(second) },
      difference: { ofMeans: first.mean - second.mean, ofMedians: first.median - second.median, relative: second.mean === 0 ? null : (first.mean - second.mean) / Math.abs(second.mean), inStandardErrors: distance },
      hint: distance === null ? 'There is no spread to compare with.' : Math.abs(distance) < 2 ? 'Less than two standard errors: it may be chance.' : 'At least two standard errors: chance alone would seldom do this.',
    };
  },
}];
