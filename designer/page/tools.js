// What the bar offers beside what Studio does.
import { call, download, read, save } from './api.js';
import { askForText, copyText, pasteInto, selectionOf } from './clipboard.js';
import { compare } from './compare.js';
import { canGo, goTo, onTopOf } from './edits.js';
import { editJson, newest, textOf } from './json.js';
import { showMessage } from './message.js';
import { mayWrite } from './rights.js';
import { runTests } from './tests.js';

const path = id => `workflows/${encodeURIComponent(id)}`;

// A copy of a workflow under a name of its own.
async function create(definition, go) {
  const name = await freeName(`${definition.name ?? 'Workflow'} (copy)`);
  const { workflowDefinition } = await save({ ...JSON.parse(textOf(definition)), definitionId: null, id: null, name });
  go(path(workflowDefinition.definitionId));
}

async function freeName(wanted) {
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted} ${number}`;
    const { isUnique } = await read(`workflow-definitions/validation/is-name-unique?name=${encodeURIComponent(name)}`);
    if (isUnique) return name;
  }
}

function pickFiles() {
  return new Promise(resolve => {
    const input = Object.assign(document.createElement('input'), { type: 'file', multiple: true, accept: '.json,.zip' });
    input.addEventListener('change', () => resolve([...input.files]));
    input.addEventListener('cancel', () => resolve([]));
    input.click();
  });
}

async function upload(reload) {
  const files = await pickFiles();
  if (files.length === 0) return;
  const form = new FormData();
  for (const file of files) form.append('files', file);
  const answer = await (await call('workflow-definitions/import-files', { method: 'POST', form })).json();
  reload();
  const refused = (answer.refused ?? []).map(one => (typeof one === 'string' ? one : Object.values(one).join(': ')));
  showMessage([`${answer.count} ${answer.count === 1 ? 'workflow' : 'workflows'} uploaded.`, ...refused].join('\n'), refused.length > 0);
}

export const listTools = ({ go, reload }) => [
  { label: 'Upload', title: 'Upload workflows: JSON files or zip archives', enabled: mayWrite, run: () => upload(reload) },
  {
    label: 'Download all', title: 'Download the newest version of every workflow as a zip archive',
    run: async () => {
      const { items } = await read('workflow-definitions?versionOptions=Latest');
      if (items.length === 0) return showMessage('There are no workflows yet.');
      const archive = await call('bulk-actions/export/workflow-definitions', { method: 'POST', body: { ids: items.map(item => item.id), includeConsumingWorkflows: false } });
      download(await archive.blob(), 'workflow-definitions.zip');
    },
  },
  {
    label: 'Paste', title: 'Make a workflow of JSON text', enabled: mayWrite,
    run: async () => {
      const pasted = await askForText('Paste a workflow', 'Create');
      if (pasted?.root) await create(pasted, go);
      else if (pasted) throw new Error('This is not a workflow: it has no root.');
    },
  },
];

export const editorTools = (id, { go, reload }) => [
  { label: 'Undo', title: 'Undo the last change that was saved', enabled: () => mayWrite() && canGo(id, -1), run: () => goTo(id, -1).then(reload) },
  { label: 'Redo', enabled: () => mayWrite() && canGo(id, 1), run: () => goTo(id, 1).then(reload) },
  { label: 'JSON', title: 'Read and change the workflow as JSON', run: async () => { if (await editJson(id)) reload(); } },
  { label: 'Compare', title: 'Compare two versions', run: () => compare(id) },
  {
    label: 'Copy', title: 'Copy what is selected, or else the workflow, as JSON text',
    run: async () => {
      const definition = await newest(id);
      const selection = selectionOf(definition);
      await copyText(selection ? JSON.stringify(selection, null, 2) : textOf(definition));
      showMessage(selection ? `Copied: ${selection.activities.map(activity => activity.metadata?.displayText ?? activity.name ?? activity.id).join(', ')}` : 'The workflow is copied.');
    },
  },
  {
    label: 'Paste', title: 'Paste activities into this workflow, or a workflow as a new one', enabled: mayWrite,
    run: async () => {
      const pasted = await askForText('Paste', 'Paste');
      if (!pasted) return;
      if (pasted.root) return create(pasted, go);
      const definition = await newest(id);
      await save(onTopOf(definition, pasteInto(definition, pasted)));
      reload();
    },
  },
  { label: 'Tests', title: 'Run the tests of this workflow: runs that were made tests', run: () => runTests(id) },
  { label: 'Duplicate', title: 'Make a copy of this workflow', enabled: mayWrite, run: async () => create(await newest(id), go) },
  {
    label: 'Download', title: 'Download the newest version as a file',
    run: async () => {
      const file = await call(`workflow-definitions/${encodeURIComponent(id)}/export?versionOptions=Latest`);
      download(await file.blob(), /filename="([^"]+)"/.exec(file.headers.get('Content-Disposition') ?? '')?.[1] ?? `${id}.json`);
    },
  },
];

export const instanceTools = (id, { go }) => [
  {
    label: 'Open workflow', run: async () => {
      const { definitionId } = await read(`workflow-instances/${encodeURIComponent(id)}`);
      go(path(definitionId));
    },
  },
  {
    label: 'Make test', title: 'Repeat this run with the answers it got, whenever the workflow has changed',
    run: async () => {
      const test = await (await call('/api/run-tests', { method: 'POST', body: { instanceId: id } })).json();
      showMessage(`The run is a test now: ${test.name}. Open the workflow and press Tests to run it.`);
    },
  },
];
