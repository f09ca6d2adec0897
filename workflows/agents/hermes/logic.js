// Checks the definition of a project and writes it down in the same form every time.
const vague = ['nice', 'modern', 'user-friendly', 'fast', 'simple', 'intuitive', 'etc', 'and so on', 'some', 'various', 'as soon as possible', 'asap', 'state of the art'];

function questions(project) {
  const open = [];
  if (project.mustDo.length > 7) open.push(`It must do ${project.mustDo.length} things. Which three would be enough to begin with?`);
  if (project.leftOut === undefined || project.leftOut.length === 0) open.push('What is left out, so that nobody expects it?');
  if (project.deadline === undefined) open.push('By when is it needed, and what happens if it comes later?');
  if (project.doneWhen.length < 1) open.push('How will one see that it is done?');
  for (const line of [project.goal, ...project.mustDo, ...project.doneWhen]) {
    const words = ` ${line.toLowerCase().replace(/[.,;:!?()]/g, ' ')} `;
    const found = vague.filter(word => words.includes(` ${word} `));
    if (found.length > 0) open.push(`"${line}": what would one measure for '${found.join("', '")}'?`);
  }
  return open;
}

const list = (title, items) => items !== undefined && items.length > 0 ? [`## ${title}`, ...items.map(item => `- ${item}`), ''] : [];

exports.tools = [{
  name: 'define-project',
  description: 'Writes the definition of a project as Markdown, in the same form every time, and lists the questions that are still open.',
  readOnly: true,
  idempotent: true,
  parameters: {
    type: 'object',
    required: ['title', 'goal', 'users', 'mustDo', 'doneWhen'],
    additionalProperties: false,
    properties: {
      title: { type: 'string', minLength: 1, maxLength: 100 },
      goal: { type: 'string', minLength: 1, maxLength: 500, description: 'What is better once it is there, in one sentence.' },
      users: { type: 'array', items: { type: 'string', maxLength: 200 }, minItems: 1, maxItems: 20, description: 'Who it is for.' },
      mustDo: { type: 'array', items: { type: 'string', maxLength: 300 }, minItems: 1, maxItems: 30, description: 'What it must do.' },
      leftOut: { type: 'array', items: { type: 'string', maxLength: 300 }, maxItems: 30, description: 'What it will not do.' },
      doneWhen: { type: 'array', items: { type: 'string', maxLength: 300 }, maxItems: 30, description: 'How one sees that it is done.' },
      constraints: { type: 'array', items: { type: 'string', maxLength: 300 }, maxItems: 30, description: 'Money, techniques, laws that it has to keep to.' },
      deadline: { type: 'string', format: 'date' },
    },
  },
  run(project) {
    const markdown = [
      `# ${project.title}`, '', project.goal, '',
      ...list('For', project.users), ...list('It must', project.mustDo), ...list('Left out', project.leftOut),
      ...list('Done when', project.doneWhen), ...list('Constraints', project.constraints),
      ...(project.deadline === undefined ? [] : ['## Needed by', project.deadline, '']),
    ].join('\n');
    const open = questions(project);
    return { markdown, openQuestions: open, readyForHera: open.length === 0 };
  },
}];
