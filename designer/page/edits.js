// Undo and redo. Studio saves every edit, so each answer of a save is a step that can be gone back to.
import { save } from './api.js';
import { readRightsOf } from './rights.js';

const LongestHistory = 100;
const savePath = /\/elsa\/api\/workflow-definitions\/?$/i;
const openPath = /\/elsa\/api\/workflow-definitions\/by-definition-id\/[^/?]+/i;

// By definition id: { steps: definitions, at: index of the one that is shown }
const histories = new Map();
let isGoing = false;

export async function rememberAnswer(method, path, response) {
  if (!response?.ok) return;
  if (method === 'POST' && savePath.test(path)) remember(await bodyOf(response, answer => answer.workflowDefinition));
  else if (method === 'GET' && openPath.test(path)) remember(await bodyOf(response, answer => answer));
}

async function bodyOf(response, pick) {
  try {
    const definition = pick(await response.clone().json());
    if (definition) readRightsOf(definition);
    return definition;
  } catch {
    return undefined;
  }
}

// What differs between two saves of the same thing.
const contentOf = ({ name, description, variables, inputs, outputs, outcomes, options, root }) =>
  JSON.stringify({ name, description, variables, inputs, outputs, outcomes, options, root });

function remember(definition) {
  if (!definition?.definitionId) return;
  const history = histories.get(definition.definitionId) ?? { steps: [], at: -1 };
  histories.set(definition.definitionId, history);
  history.newest = definition;
  if (isGoing || (history.at >= 0 && contentOf(history.steps[history.at]) === contentOf(definition))) {
    if (history.at >= 0) history.steps[history.at] = definition;
  } else {
    history.steps.splice(history.at + 1, Infinity, definition);
    if (history.steps.length > LongestHistory) history.steps.shift();
    history.at = history.steps.length - 1;
  }
  dispatchEvent(new CustomEvent('conclave:edited', { detail: definition.definitionId }));
}

export const newestOf = id => histories.get(id)?.newest;
export const canGo = (id, by) => histories.get(id)?.steps[histories.get(id).at + by] !== undefined;

// Saves a step of the past, or of the future, as the newest draft.
export async function goTo(id, by) {
  const history = histories.get(id);
  const step = history?.steps[history.at + by];
  if (!step) return;
  isGoing = true;
  try {
    history.at += by;
    await save(onTopOf(history.newest, step));
  } catch (error) {
    history.at -= by;
    throw error;
  } finally {
    isGoing = false;
  }
  dispatchEvent(new CustomEvent('conclave:edited', { detail: id }));
}

// The server tells by a custom property which version an edit began with; an older text is an edit of the newest.
export const onTopOf = (newest, definition) => ({
  ...definition,
  id: newest.id,
  definitionId: newest.definitionId,
  customProperties: { ...definition.customProperties, 'Conclave:EditToken': newest.customProperties?.['Conclave:EditToken'] },
  links: null,
});
