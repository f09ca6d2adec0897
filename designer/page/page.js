// The page around Elsa Studio's elements: which one is shown, the way between them, and the tools that Studio lacks.
import { showMessage } from './message.js';
import { watchAnswers } from './answers.js';
import { rememberAnswer } from './edits.js';
import { areActivitiesOutdated, readIcons, watchActivities } from './icons.js';
import { explainRefusals } from './refusals.js';
import { readRights } from './rights.js';
import { editorTools, listTools, instanceTools } from './tools.js';

const view = document.getElementById('view');
const endpoint = `${location.origin}/elsa/api`;
let shown = null;
let showing = 0;

// Once this one is defined, all are.
const lastElement = 'elsa-workflow-definition-editor';

// Monaco comes in parts, and Studio's editor makes editors of it as soon as it is shown: without it Studio stops with an error.
const textEditors = new Promise((resolve, reject) => require(['vs/editor/editor.main'], resolve, reject));

// A Blazor element that leaves the page is disposed of after a second; another one before that would find its overlays taken.
const DisposeMilliseconds = 1200;

watchAnswers(rememberAnswer, readRights, readIcons, explainRefusals);
watchActivities(view);

function element(name, attributes, callbacks) {
  const created = document.createElement(name);
  created.setAttribute('remote-endpoint', endpoint);
  for (const [attribute, value] of Object.entries(attributes)) created.setAttribute(attribute, value);
  Object.assign(created, callbacks);
  return created;
}

// Studio writes paging into the page's query, which does not change what is shown.
const sections = [
  {
    path: /^workflows\/([^/]+)$/, section: 'workflows',
    show: id => element('elsa-workflow-definition-editor', { 'definition-id': id }, {
      workflowDefinitionExecuted: instanceId => go(`instances/${encodeURIComponent(instanceId)}`),
    }),
    tools: id => editorTools(id, { go, reload }),
  },
  {
    path: /^instances\/([^/]+)$/, section: 'instances',
    show: id => element('elsa-workflow-instance-viewer', { 'instance-id': id }, {
      editWorkflowDefinition: definitionId => go(`workflows/${encodeURIComponent(definitionId)}`),
    }),
    tools: id => instanceTools(id, { go }),
  },
  {
    path: /^instances\/?$/, section: 'instances',
    show: () => element('elsa-workflow-instance-list', {}, {
      viewWorkflowInstance: id => go(`instances/${encodeURIComponent(id)}`),
    }),
    tools: () => [],
  },
  {
    path: /^(?:workflows\/?)?$/, section: 'workflows',
    show: () => element('elsa-workflow-definition-list', {}, {
      editWorkflowDefinition: id => go(`workflows/${encodeURIComponent(id)}`),
    }),
    tools: () => listTools({ go, reload }),
  },
];

const pathOf = () => location.pathname.replace(/^\/designer\/?/, '');

export function go(path, isReplacing = false) {
  const address = `/designer/${path}`;
  // Studio keeps the address itself and builds its queries on it: it has to hear of every change.
  if (customElements.get(lastElement)) Blazor.navigateTo(address, { replaceHistoryEntry: isReplacing });
  else history[isReplacing ? 'replaceState' : 'pushState'](null, '', address);
  render();
}

function reload() {
  shown = null;
  render();
}

function render() {
  const path = pathOf();
  // Studio's own links name an instance's page in another way.
  const instance = /^workflows\/instances\/([^/]+)\/view$/.exec(path);
  if (instance) {
    return go(`instances/${instance[1]}`, true);
  }
  if (path === shown) return;
  const found = sections.map(section => ({ section, match: section.path.exec(path) })).find(one => one.match);
  if (!found) {
    view.replaceChildren(Object.assign(document.createElement('p'), { className: 'page-loading', textContent: 'There is no such page.' }));
    return;
  }
  shown = path;
  showMessage('');
  const id = found.match[1] === undefined ? '' : decodeURIComponent(found.match[1]);
  show(() => found.section.show(id));
  showTools(found.section.tools(id));
  for (const link of document.querySelectorAll('[data-section]')) {
    if (link.dataset.section === found.section.section) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

async function show(create) {
  const turn = ++showing;
  const isOutdated = areActivitiesOutdated().catch(() => false);
  const old = view.firstElementChild;
  if (old?.localName.startsWith('elsa-') || turn > 1) {
    view.replaceChildren(Object.assign(document.createElement('p'), { className: 'page-loading', textContent: 'Loading…' }));
    await new Promise(resolve => setTimeout(resolve, DisposeMilliseconds));
  }
  // What is set on an element before Studio has defined it is lost, its callbacks too.
  try {
    await Promise.all([customElements.whenDefined(lastElement), textEditors]);
  } catch {
    return showMessage('A part of the designer could not be loaded. Load the page again.', true);
  }
  // Only the last of several that were asked for meanwhile.
  if (turn !== showing) return;
  if (await isOutdated) location.reload();
  else if (turn === showing) view.replaceChildren(create());
}

function showTools(tools) {
  document.getElementById('tools').replaceChildren(...tools.map(({ label, title, run, enabled }) => {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: label, title: title ?? label });
    const update = () => { button.disabled = enabled ? !enabled() : false; };
    button.addEventListener('click', async () => {
      button.disabled = true;
      try {
        await run();
      } catch (error) {
        showMessage(error.message, true);
      } finally {
        update();
      }
    });
    if (enabled) addEventListener('conclave:edited', update);
    update();
    return button;
  }));
}

document.addEventListener('click', event => {
  const link = event.target.closest?.('a[href]');
  if (!link || link.dataset.outside !== undefined || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.closest('.page-bar') && link.origin === location.origin && link.pathname.startsWith('/designer/')) {
    event.preventDefault();
    go(link.pathname.slice('/designer/'.length));
  }
});
document.querySelector('#blazor-error-ui .dismiss').addEventListener('click', () => { document.getElementById('blazor-error-ui').style.display = 'none'; });
addEventListener('popstate', render);

// Studio navigates by the history, too.
for (const name of ['pushState', 'replaceState']) {
  const original = history[name].bind(history);
  history[name] = (...args) => {
    original(...args);
    queueMicrotask(render);
  };
}

render();
