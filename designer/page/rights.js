// What the signed-in person may do, as the links of the answers tell it.
const listPath = /\/elsa\/api\/workflow-definitions\/?$/i;
let isAuthor = true;

// Tools that change something are offered to authors only. Until an answer has told, everybody is one: the server decides anyway.
export const mayWrite = () => isAuthor;

export async function readRights(method, path, response) {
  if (method !== 'GET' || !response?.ok || !listPath.test(path)) return;
  take((await response.clone().json()).links ?? [], 'bulk-publish');
}

export const readRightsOf = definition => definition.isReadonly || definition.isLatest === false || take(definition.links ?? [], 'publish');

function take(links, needed) {
  const now = links.some(link => link.rel === needed);
  if (now === isAuthor) return;
  isAuthor = now;
  dispatchEvent(new CustomEvent('conclave:edited'));
}
