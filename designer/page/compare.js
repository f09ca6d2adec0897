// Two versions of a workflow, side by side or as one text.
import { open } from './dialog.js';
import { read } from './api.js';
import { textOf } from './json.js';

// Studio orders the activities of a flowchart anew with every save, which means nothing.
function ordered(value) {
  if (Array.isArray(value)) return value.map(ordered);
  if (value === null || typeof value !== 'object') return value;
  const copy = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, ordered(member)]));
  if (!Array.isArray(copy.activities) || !Array.isArray(copy.connections)) return copy;
  const by = key => (one, other) => (key(one) < key(other) ? -1 : 1);
  copy.activities.sort(by(activity => activity.id));
  copy.connections.sort(by(connection => JSON.stringify([connection.source, connection.target])));
  return copy;
}

export async function compare(id) {
  const { items } = await read(`workflow-definitions?versionOptions=AllVersions&definitionIds=${encodeURIComponent(id)}&orderBy=Version&orderDirection=Descending`);
  const label = item => `Version ${item.version}${item.isPublished ? ' (published)' : item.isLatest ? ' (draft)' : ''}`;
  const choose = (name, chosen) => {
    const select = document.createElement('select');
    select.setAttribute('aria-label', name);
    select.append(...items.map((item, index) => Object.assign(document.createElement('option'), { value: item.id, textContent: label(item), selected: index === chosen })));
    return select;
  };
  const left = choose('Older version', Math.min(1, items.length - 1));
  const right = choose('Newer version', 0);
  const layout = Object.assign(document.createElement('button'), { type: 'button', textContent: 'One column' });
  const place = Object.assign(document.createElement('div'), { className: 'editor' });
  let isSideBySide = true;
  let diff;
  const show = async () => {
    const texts = await Promise.all([left.value, right.value].map(async version => textOf(ordered(await read(`workflow-definitions/by-id/${encodeURIComponent(version)}`)))));
    const old = diff.getModel();
    diff.setModel({ original: monaco.editor.createModel(texts[0], 'json'), modified: monaco.editor.createModel(texts[1], 'json') });
    old?.original.dispose();
    old?.modified.dispose();
  };
  await open({
    title: `Versions of ${items[0]?.name ?? id}`,
    header: [left, right, layout],
    body: place,
    buttons: [],
    onOpen: ({ dialog }) => {
      diff = monaco.editor.createDiffEditor(place, { automaticLayout: true, readOnly: true, renderSideBySide: true, minimap: { enabled: false } });
      for (const select of [left, right]) select.addEventListener('change', show);
      layout.addEventListener('click', () => {
        isSideBySide = !isSideBySide;
        diff.updateOptions({ renderSideBySide: isSideBySide });
        layout.textContent = isSideBySide ? 'One column' : 'Side by side';
      });
      dialog.addEventListener('close', () => diff.dispose());
      show();
    },
  });
}
