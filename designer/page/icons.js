// Icons and colours of activities that Studio does not know, as their descriptors have them. Studio draws its own; a style sheet puts ours over them,
// and nothing that Studio made is changed but for an attribute with the type.
const listPath = /\/elsa\/api\/descriptors\/activities\/?$/i;
const sheet = document.head.appendChild(document.createElement('style'));
const typeOf = new Map();
let known;
let isMarking = false;

const nameOf = (category, displayName) => `${category}\n${displayName}`;

export async function readIcons(method, path, response) {
  if (method !== 'GET' || !response?.ok || !listPath.test(path) || (known && known === response.headers.get('ETag'))) return;
  known = response.headers.get('ETag');
  const { items } = await response.clone().json();
  typeOf.clear();
  for (const { category, displayName, typeName } of items) typeOf.set(nameOf(category, displayName), typeName);
  sheet.textContent = items.map(rulesOf).join('');
  mark();
}

// Studio keeps the list that it read first, and draws nothing of a workflow with an activity that has come since, such as an uploaded workflow.
export async function areActivitiesOutdated() {
  if (!known) return false;
  const response = await fetch('/elsa/api/descriptors/activities', { headers: { 'If-None-Match': known } });
  return response.ok;
}

function rulesOf({ typeName, customProperties: { Icon: icon, Color: color } = {} }) {
  const type = `[data-activity-type="${CSS.escape(typeName)}"]`;
  const node = `elsa-activity-wrapper${type}`;
  const rules = [];
  if (icon) {
    const mask = `url("data:image/svg+xml,${encodeURIComponent(icon)}") center / contain no-repeat`;
    const svg = `:is(${node} .activity-icon, [draggable]${type}) > svg, [draggable]${type} > div > svg`;
    rules.push(`${svg} { background: currentColor; mask: ${mask}; }`, `:is(${svg}) > * { display: none; }`);
  }
  if (color && CSS.supports('color', color)) {
    rules.push(
      `${node} .elsa-activity { --elsa-activity-accent: ${color} !important; }`,
      `[draggable]${type} { border-left-color: ${color} !important; }`,
      `.x6-node:has(${node}) .x6-port-in .elsa-designer-port-circle { stroke: ${color}; }`,
      `.x6-node:has(${node}) .x6-port-out .elsa-designer-port-circle { fill: ${color}; }`,
    );
  }
  return rules.join('\n');
}

// Studio uses its elements again for other activities, so all are looked at whenever something changes.
function mark() {
  isMarking = false;
  for (const entry of document.querySelectorAll('[draggable="true"]')) {
    const category = entry.closest('.mud-expand-panel')?.querySelector('.mud-expand-panel-header')?.textContent.trim();
    setType(entry, typeOf.get(nameOf(category, entry.textContent.trim())));
  }
  // The activity's own type comes before those of what it contains.
  for (const node of document.querySelectorAll('elsa-activity-wrapper')) setType(node, /"type":"([^"]*)"/.exec(node.getAttribute('activity-json'))?.[1]);
}

function setType(element, type) {
  if (!type) delete element.dataset.activityType;
  else if (element.dataset.activityType !== type) element.dataset.activityType = type;
}

export function watchActivities(view) {
  new MutationObserver(() => {
    if (isMarking) return;
    isMarking = true;
    requestAnimationFrame(mark);
  }).observe(view, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ['activity-json'] });
}
