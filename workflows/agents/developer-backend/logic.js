// Reads the draft of an HTTP API and names what a client would stumble over.
const methods = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']);
const idempotent = new Set(['GET', 'PUT', 'DELETE', 'HEAD']);
const verbs = ['get', 'create', 'update', 'delete', 'remove', 'list', 'add', 'set', 'fetch'];

function look(endpoint, add) {
  const at = `${endpoint.method} ${endpoint.route}`;
  const method = String(endpoint.method).toUpperCase();
  const segments = endpoint.route.split('/').filter(part => part !== '');
  if (!methods.has(method)) add('error', at, `'${endpoint.method}' is no HTTP method.`);
  if (!endpoint.route.startsWith('/')) add('error', at, "The path must begin with '/'.");
  if (endpoint.route.length > 1 && endpoint.route.endsWith('/')) add('warning', at, "The path ends with '/': clients with and without it will not agree.");
  for (const segment of segments) {
    if (segment.startsWith('{')) continue;
    if (/[A-Z_]/.test(segment)) add('warning', at, `'${segment}': paths are lower case, with '-' between words.`);
    const words = segment.replace(/([a-z])([A-Z])/g, '$1-$2').toLowerCase().split(/[-_]/);
    if (verbs.includes(words[0])) add('warning', at, `'${segment}' is a verb: the method says what happens, the path what it happens to.`);
  }
  const parameters = segments.filter(part => part.startsWith('{')).map(part => part.replace(/[{}]/g, ''));
  if (new Set(parameters).size < parameters.length) add('error', at, 'A parameter of the path is there twice.');
  const statuses = new Set((endpoint.statuses ?? []).map(Number));
  if (method === 'GET' && endpoint.changes === true) add('error', at, 'GET must change nothing: crawlers, caches and prefetching call it.');
  if (method === 'GET' && endpoint.list === true && endpoint.paged !== true) add('warning', at, 'The list has no pages: it will be too long one day. Take a cursor and a limit.');
  if (method === 'POST' && endpoint.changes !== false && endpoint.idempotencyKey !== true) add('warning', at, 'A repeated POST does its work twice. Take an Idempotency-Key.');
  if (parameters.length > 0 && !statuses.has(404)) add('warning', at, '404 is missing: what is named in the path may not be there.');
  if ((method === 'PUT' || method === 'PATCH') && endpoint.versioned !== true) add('info', at, 'Two people who save at once overwrite each other. Take If-Match with an ETag.');
  if (endpoint.authenticated !== false && !(statuses.has(401) && statuses.has(403))) add('info', at, 'Say that it answers 401 without, and 403 with too few rights.');
  if (idempotent.has(method) && statuses.has(201) && method !== 'PUT') add('warning', at, `201 does not fit ${method}: nothing is made.`);
}

exports.tools = [{
  name: 'review-api',
  description: 'Reads the draft of an HTTP API and lists what clients would stumble over: methods, paths, statuses, pages, repeated requests, lost updates.',
  readOnly: true,
  idempotent: true,
  parameters: {
    type: 'object',
    required: ['endpoints'],
    additionalProperties: false,
    properties: {
      endpoints: {
        type: 'array',
        minItems: 1,
        maxItems: 100,
        items: {
          type: 'object',
          required: ['method', 'route'],
          additionalProperties: false,
          properties: {
            method: { type: 'string', maxLength: 10 },
            route: { type: 'string', maxLength: 300, description: 'The path, such as /orders/{id}.' },
            list: { type: 'boolean', description: 'Whether it answers with a list.' },
            paged: { type: 'boolean', description: 'Whether the list comes in pages.' },
            changes: { type: 'boolean', description: 'Whether it changes anything.' },
            statuses: { type: 'array', items: { type: 'integer' }, description: 'Statuses that it answers with.' },
            idempotencyKey: { type: 'boolean', description: 'Whether it takes an Idempotency-Key.' },
            versioned: { type: 'boolean', description: 'Whether it takes If-Match.' },
            authenticated: { type: 'boolean', description: 'Whether callers need an account; true without it.' },
          },
        },
      },
    },
  },
  run({ endpoints }) {
    const findings = [];
    const seen = new Map();
    for (const endpoint of endpoints) {
      look(endpoint, (severity, where, message) => findings.push({ severity, where, message }));
      const key = `${endpoint.method.toUpperCase()} ${endpoint.route.replace(/\{[^}]*\}/g, '{}')}`;
      if (seen.has(key)) findings.push({ severity: 'error', where: key, message: `It is there twice: ${seen.get(key)} and ${endpoint.route}.` });
      seen.set(key, endpoint.route);
    }
    const count = severity => findings.filter(finding => finding.severity === severity).length;
    return { errors: count('error'), warnings: count('warning'), findings };
  },
}];
