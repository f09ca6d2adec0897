// What the signed-in person may do, as the links of the answers tell it.
const listPath = /\/elsa\/api\/workflow-definitions\/?$/i;
const place = document.getElementById('reading');
let isAuthor = true;
let isFixed = false;

// Tools that change something are offered to authors only. Until an answer has told, everybody is one: the server decides anyway.
export const mayWrite = () => isAuthor;

export async function readRights(method, path, response) {
  if (method !== 'GET' || !response?.ok || !listPath.test(path)) return;
  take((await response.clone().json()).links ?? [], 'bulk-publish');
}

export function readRightsOf(definition) {
  isFixed = definition.isReadonly === true;
  if (!isFixed && definition.isLatest !== false) take(definition.links ?? [], 'publish');
  tell();
}

function take(links, needed) {
  const now = links.some(link => link.rel === needed);
  if (now === isAuthor) return;
  isAuthor = now;
  tell();
  dispatchEvent(new CustomEvent('conclave:edited'));
}

// Studio takes nothing from its toolbox then, and does not say so.
function tell() {
  document.body.classList.toggle('is-reading', !isAuthor || isFixed);
  place.textContent = isFixed ? 'Read-only: nobody may change this workflow.' : isAuthor ? '' : 'Read-only: your account may look at workflows, not change them.';
}
