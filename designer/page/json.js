// A workflow as JSON text: read, changed, checked with every problem at its place, saved.
import { open } from './dialog.js';
import { call, read, save } from './api.js';
import { newestOf, onTopOf } from './edits.js';

// What the server says of a version is not the author's to change.
const hidden = ['links', 'id', 'version', 'createdAt', 'isLatest', 'isPublished', 'isReadonly', 'isSystem'];

export function textOf(definition) {
  const shown = Object.fromEntries(Object.entries(definition).filter(([name]) => !hidden.includes(name)));
  if (shown.customProperties) {
    shown.customProperties = { ...shown.customProperties };
    delete shown.customProperties['Conclave:EditToken'];
  }
  // An input that is no expression was made one for Studio, with the original beside it.
  return JSON.stringify(shown, (name, value) => (name === 'nodeId' ? undefined : value?.['Conclave:Input'] ?? value), 2);
}

export const newest = async id => newestOf(id) ?? await read(`workflow-definitions/by-definition-id/${encodeURIComponent(id)}?versionOptions=Latest`);

export async function editJson(id) {
  const definition = await newest(id);
  const isReadOnly = !definition.links?.some(link => link.rel === 'publish');
  const place = Object.assign(document.createElement('div'), { className: 'editor' });
  let editor;
  let show;
  const check = async () => {
    const problems = await problemsOf(editor.getValue());
    mark(editor, problems);
    show(problems.length ? problems : [{ message: 'No problems.', severity: 'warning' }], at => reveal(editor, at));
    return problems;
  };
  return open({
    title: `${definition.name ?? id} as JSON`,
    body: place,
    buttons: [
      { label: 'Check', run: async () => { await check(); } },
      {
        label: 'Save draft', isPrimary: true, enabled: !isReadOnly,
        run: async () => {
          const problems = await check();
          if (problems.some(problem => problem.isSyntax)) return undefined;
          await save(onTopOf(definition, JSON.parse(editor.getValue())));
          return true;
        },
      },
    ],
    onOpen: opened => {
      show = opened.show;
      editor = monaco.editor.create(place, {
        value: textOf(definition), language: 'json', automaticLayout: true, minimap: { enabled: false }, readOnly: isReadOnly, tabSize: 2,
      });
      opened.dialog.addEventListener('close', () => editor.dispose());
    },
  });
}

async function problemsOf(text) {
  try {
    JSON.parse(text);
  } catch (error) {
    const position = /position (\d+)/.exec(error.message);
    return [{ message: error.message, at: position ? Number(position[1]) : 0, isSyntax: true }];
  }
  const { errors } = await (await call('/api/workflows/validate', { method: 'POST', body: JSON.parse(text) })).json();
  return errors.map(error => ({ ...error, at: placeOf(text, error) }));
}

// Where the activity, or its property, stands in the text.
function placeOf(text, { activityId, property }) {
  if (!activityId) return property ? Math.max(0, text.indexOf(`"${property}"`)) : 0;
  const id = new RegExp(`"id":\\s*${JSON.stringify(activityId).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`).exec(text);
  if (!id) return 0;
  if (!property) return id.index;
  const name = text.slice(id.index).search(new RegExp(`"${property.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}"`, 'i'));
  return name < 0 ? id.index : id.index + name;
}

function mark(editor, problems) {
  const model = editor.getModel();
  monaco.editor.setModelMarkers(model, 'conclave', problems.map(problem => {
    const start = model.getPositionAt(problem.at ?? 0);
    return {
      message: problem.message,
      severity: problem.severity === 'warning' ? monaco.MarkerSeverity.Warning : monaco.MarkerSeverity.Error,
      startLineNumber: start.lineNumber, startColumn: start.column, endLineNumber: start.lineNumber, endColumn: model.getLineMaxColumn(start.lineNumber),
    };
  }));
}

function reveal(editor, at) {
  const position = editor.getModel().getPositionAt(at);
  editor.setPosition(position);
  editor.revealPositionInCenter(position);
  editor.focus();
}
