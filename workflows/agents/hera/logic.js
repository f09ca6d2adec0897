// Looks at a plan as a graph: circles, gaps, and the chain that decides when it is done (critical path method).
function order(tasks, byId, problems) {
  const state = new Map();
  const sorted = [];
  const visit = (id, trail) => {
    if (state.get(id) === 'done') return;
    if (state.get(id) === 'open') {
      problems.push({ severity: 'error', task: id, message: `A circle: ${[...trail.slice(trail.indexOf(id)), id].join(' → ')}.` });
      return;
    }
    state.set(id, 'open');
    for (const before of byId.get(id).after ?? []) if (byId.has(before)) visit(before, [...trail, id]);
    state.set(id, 'done');
    sorted.push(id);
  };
  for (const task of tasks) visit(task.id, []);
  return sorted;
}

function check(tasks) {
  const problems = [];
  const byId = new Map();
  for (const task of tasks) {
    if (byId.has(task.id)) problems.push({ severity: 'error', task: task.id, message: 'The id is there twice.' });
    byId.set(task.id, task);
  }
  for (const task of tasks) {
    for (const before of task.after ?? []) if (!byId.has(before)) problems.push({ severity: 'error', task: task.id, message: `It waits for '${before}', which is not in the plan.` });
    if ((task.owner ?? '').trim() === '') problems.push({ severity: 'error', task: task.id, message: 'Nobody does it.' });
    if ((task.result ?? '').trim() === '') problems.push({ severity: 'warning', task: task.id, message: 'What comes out of it? Name something that can be looked at.' });
    if (task.hours > 8) problems.push({ severity: 'warning', task: task.id, message: `${task.hours} hours is more than a day: break it down.` });
  }
  return { problems, byId };
}

exports.tools = [{
  name: 'check-plan',
  description: 'Checks a plan: circles, missing owners and results, tasks that are too large, hours of each owner, and the chain of tasks that decides when it is done.',
  readOnly: true,
  idempotent: true,
  parameters: {
    type: 'object',
    required: ['tasks'],
    additionalProperties: false,
    properties: {
      tasks: {
        type: 'array',
        minItems: 1,
        maxItems: 200,
        items: {
          type: 'object',
          required: ['id', 'title', 'hours'],
          additionalProperties: false,
          properties: {
            id: { type: 'string', minLength: 1, maxLength: 40 },
            title: { type: 'string', minLength: 1, maxLength: 200 },
            owner: { type: 'string', maxLength: 100 },
            hours: { type: 'number', exclusiveMinimum: 0, maximum: 1000 },
            after: { type: 'array', items: { type: 'string', maxLength: 40 }, maxItems: 50, description: 'Ids of tasks that have to be done before.' },
            result: { type: 'string', maxLength: 300, description: 'What can be looked at in the end.' },
          },
        },
      },
    },
  },
  run({ tasks }) {
    const { problems, byId } = check(tasks);
    const sorted = order(tasks, byId, problems);
    const hasCircle = problems.some(problem => problem.message.startsWith('A circle'));
    const hoursOf = new Map();
    for (const task of tasks) hoursOf.set(task.owner ?? '', (hoursOf.get(task.owner ?? '') ?? 0) + task.hours);
    const result = { ok: problems.every(problem => problem.severity !== 'error'), problems, hours: Object.fromEntries(hoursOf) };
    if (hasCircle) return result;
    const ends = new Map();
    const from = new Map();
    for (const id of sorted) {
      const before = (byId.get(id).after ?? []).filter(other => byId.has(other));
      const last = before.reduce((latest, other) => latest === null || ends.get(other) > ends.get(latest) ? other : latest, null);
      from.set(id, last);
      ends.set(id, (last === null ? 0 : ends.get(last)) + byId.get(id).hours);
    }
    const chain = [];
    let id = sorted.reduce((latest, other) => ends.get(other) > ends.get(latest) ? other : latest);
    while (id !== null) {
      chain.unshift(id);
      id = from.get(id);
    }
    return { ...result, order: sorted, criticalPath: chain, hoursUntilDone: ends.get(chain[chain.length - 1]), canBeginNow: tasks.filter(task => (task.after ?? []).length === 0).map(task => task.id) };
  },
}];
