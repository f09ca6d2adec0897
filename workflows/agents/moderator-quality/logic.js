// The same findings always give the same verdict.
const cost = { blocker: 60, major: 20, minor: 5 };
const criteria = ['completeness', 'correctness', 'evidence', 'clarity', 'safety'];

exports.tools = [{
  name: 'score',
  description: 'Turns findings into points and a verdict, in the same way every time. 100 points are perfect; a blocker always means reject.',
  readOnly: true,
  idempotent: true,
  parameters: {
    type: 'object',
    required: ['findings'],
    additionalProperties: false,
    properties: {
      findings: {
        type: 'array',
        maxItems: 200,
        items: {
          type: 'object',
          required: ['criterion', 'severity', 'finding'],
          additionalProperties: false,
          properties: {
            criterion: { enum: criteria },
            severity: { enum: ['blocker', 'major', 'minor'] },
            finding: { type: 'string', maxLength: 1000 },
          },
        },
      },
      unchecked: { type: 'integer', minimum: 0, maximum: 100, description: 'Points of the request that could not be checked.' },
    },
  },
  run({ findings, unchecked = 0 }) {
    const points = {};
    for (const criterion of criteria) {
      const lost = findings.filter(f => f.criterion === criterion).reduce((sum, f) => sum + cost[f.severity], 0);
      points[criterion] = Math.max(0, 100 - lost);
    }
    const worst = Math.min(...Object.values(points));
    const mean = Object.values(points).reduce((sum, value) => sum + value, 0) / criteria.length;
    // One bad criterion is not made good by four good ones.
    const total = Math.max(0, Math.round(0.5 * mean + 0.5 * worst - 2 * unchecked));
    const count = severity => findings.filter(f => f.severity === severity).length;
    const verdict = count('blocker') > 0 || total < 50 ? 'reject' : count('major') > 0 || total < 90 ? 'accept with changes' : 'accept';
    return { verdict, total, points, blockers: count('blocker'), majors: count('major'), minors: count('minor'), unchecked };
  },
}];
