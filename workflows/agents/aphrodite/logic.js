// Looks at the words of an interface: buttons, labels, messages.
const empty = new Set(['click here', 'here', 'more', 'read more', 'learn more', 'ok', 'submit', 'yes', 'no', 'go', 'link', 'button', 'continue']);
const blaming = ['invalid', 'illegal', 'failed', 'wrong', 'you did not', 'you must', 'forbidden', 'bad input', 'oops', 'whoops'];
const pressing = ['only today', 'hurry', 'last chance', 'no thanks, i', 'no, i do not want', "no, i don't", 'miss out', 'act now'];

const longest = { button: 25, label: 40, title: 60, placeholder: 40, error: 140, hint: 140, empty: 160 };

function look({ kind, text }) {
  const found = [];
  const plain = text.trim();
  const lower = plain.toLowerCase().replace(/[.!…]+$/, '');
  if (plain.length > longest[kind]) found.push(`It is ${plain.length} characters long; ${longest[kind]} are what a ${kind} should have.`);
  if (kind === 'button' && empty.has(lower)) found.push('It does not say what happens. Begin with a verb, and name the thing: "Send invitation".');
  if (kind === 'error' && blaming.some(word => lower.includes(word))) found.push('It blames or says only that it failed. Say what happened, and what to do now.');
  if (kind === 'error' && !/[.?]|\b(?:try|check|choose|enter|use|ask|write|pick|wait)\b/i.test(plain)) found.push('It does not say what to do next.');
  if (pressing.some(words => lower.includes(words))) found.push('It puts pressure on people. Say the fact without it.');
  if (plain.length > 6 && plain === plain.toUpperCase() && /[A-Z]/.test(plain)) found.push('Capitals are read slowly, and letter by letter by some screen readers.');
  if ((plain.match(/!/g) ?? []).length > 1 || (kind !== 'title' && kind !== 'empty' && plain.includes('!'))) found.push('Take the exclamation mark away.');
  if (kind === 'placeholder' && /\b(?:required|must|at least|format)\b/i.test(plain)) found.push('It vanishes when somebody types: put it beside the field as a hint.');
  if (/\b(?:utilize|terminate|execute|invoke|instantiate|null|undefined|exception|parameter|boolean)\b/i.test(plain)) found.push('It has a word of programmers in it.');
  return found;
}

exports.tools = [{
  name: 'check-texts',
  description: 'Looks at the texts of an interface: buttons that say nothing, errors without a way on, pressure, capitals, hints that vanish, words of programmers, and lengths.',
  readOnly: true,
  idempotent: true,
  parameters: {
    type: 'object',
    required: ['texts'],
    additionalProperties: false,
    properties: {
      texts: {
        type: 'array',
        minItems: 1,
        maxItems: 300,
        items: {
          type: 'object',
          required: ['kind', 'text'],
          additionalProperties: false,
          properties: {
            kind: { enum: Object.keys(longest) },
            text: { type: 'string', minLength: 1, maxLength: 1000 },
          },
        },
      },
    },
  },
  run({ texts }) {
    const findings = texts.flatMap(item => look(item).map(message => ({ kind: item.kind, text: item.text, message })));
    const buttons = texts.filter(item => item.kind === 'button').map(item => item.text.trim().toLowerCase());
    for (const twice of new Set(buttons.filter((text, i) => buttons.indexOf(text) !== i))) findings.push({ kind: 'button', text: twice, message: 'Two buttons say the same. Somebody who only hears them cannot tell them apart.' });
    return { checked: texts.length, findings };
  },
}];
