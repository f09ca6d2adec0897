// Workflows and activities as text: what is copied here can be pasted into another workflow, or sent to somebody.
import { open } from './dialog.js';

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https, or without the permission, there is the old way.
    const area = Object.assign(document.createElement('textarea'), { value: text });
    document.body.append(area);
    area.select();
    const isDone = document.execCommand('copy');
    area.remove();
    if (!isDone) throw new Error('The browser does not let the page copy. Use JSON and copy the text there.');
  }
}

// Asks for text; what the clipboard has is there already if the browser lets the page read it.
export async function askForText(title, label) {
  const area = document.createElement('textarea');
  area.setAttribute('aria-label', title);
  area.placeholder = 'Paste the JSON text of a workflow or of activities here.';
  area.spellcheck = false;
  return open({
    title,
    body: area,
    buttons: [{ label, isPrimary: true, run: () => JSON.parse(area.value) }],
    onOpen: async () => {
      area.focus();
      try {
        area.value ||= await navigator.clipboard.readText();
      } catch {
        // The person pastes.
      }
    },
  });
}

const idsOf = activities => new Set(activities.map(activity => activity.id));

// What is selected on the canvas: its boxes carry the activities' ids. Null when nothing is.
export function selectionOf(definition) {
  const boxes = document.querySelectorAll('.x6-widget-transform[data-cell-id], .x6-widget-selection-box[data-cell-id]');
  const selected = new Set([...boxes].map(box => box.dataset.cellId));
  const chart = selected.size > 0 ? holderOf(definition.root, selected) : null;
  if (!chart) return null;
  return {
    activities: chart.activities.filter(activity => selected.has(activity.id)),
    connections: (chart.connections ?? []).filter(connection => selected.has(connection.source.activity) && selected.has(connection.target.activity)),
  };
}

// The flowchart, at whatever depth, that holds the activities.
function holderOf(value, ids) {
  if (value === null || typeof value !== 'object') return null;
  if (Array.isArray(value.activities) && value.activities.some(activity => ids.has(activity.id))) return value;
  for (const member of Object.values(value)) {
    const found = holderOf(member, ids);
    if (found) return found;
  }
  return null;
}

// Adds activities to the flowchart or the sequence at the root, under ids of their own.
export function pasteInto(definition, pasted) {
  const given = pasted.activities ?? [pasted];
  if (!given.every(activity => activity?.type && activity.id)) throw new Error('This is neither a workflow nor activities: each activity needs an id and a type.');
  const root = structuredClone(definition.root);
  if (!Array.isArray(root.activities)) throw new Error('Activities can be pasted into a workflow whose root is a flowchart or a sequence.');
  const known = new Set(JSON.stringify(root).match(/"id":"[^"]*"/g) ?? []);
  const renamed = new Map();
  const rename = value => {
    if (Array.isArray(value)) return value.map(rename);
    if (value === null || typeof value !== 'object') return value;
    const copy = Object.fromEntries(Object.entries(value).filter(([name]) => name !== 'nodeId').map(([name, member]) => [name, rename(member)]));
    if (copy.type && copy.id && copy.version !== undefined && known.has(`"id":${JSON.stringify(copy.id)}`)) {
      const id = [...crypto.getRandomValues(new Uint8Array(8))].map(byte => byte.toString(16).padStart(2, '0')).join('');
      renamed.set(copy.id, id);
      copy.id = id;
    }
    return copy;
  };
  const activities = rename(given).map(activity => {
    const position = activity.metadata?.designer?.position;
    if (position) Object.assign(position, { x: position.x + 40, y: position.y + 40 });
    return activity;
  });
  root.activities.push(...activities);
  if (Array.isArray(root.connections)) {
    const own = idsOf(given);
    const target = end => ({ ...end, activity: renamed.get(end.activity) ?? end.activity });
    root.connections.push(...(pasted.connections ?? [])
      .filter(connection => own.has(connection.source.activity) && own.has(connection.target.activity))
      .map(connection => ({ ...connection, source: target(connection.source), target: target(connection.target) })));
  }
  return { ...definition, root };
}
