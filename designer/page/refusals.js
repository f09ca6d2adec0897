// Refusals that Studio has no words for, said in the page's own place.
import { reasonOf } from './api.js';
import { showMessage, takeBack } from './message.js';

const apiPath = /\/elsa\/api\//i;
const deletePath = /\/elsa\/api\/(workflow-definitions|workflow-definition-versions)\/[^?]+$/i;
const bulkDeletePath = /\/elsa\/api\/bulk-actions\/delete\/workflow-definition/i;
const silence = 'The server does not answer. What you change now is not saved until it does; then change something once more.';
const signedOut = 'You are signed out. Load the page again to sign in.';

export async function explainRefusals(method, path, response) {
  if (!apiPath.test(path)) return undefined;
  if (!response) return showMessage(silence, true);
  takeBack(silence);
  if (response.status === 401) return showMessage(signedOut, true);
  if (method === 'DELETE' && response.status === 400 && deletePath.test(path)) {
    showMessage(await reasonOf(response), true);
    // Studio takes a 404 for "nothing to delete"; any other refusal would stop it.
    return new Response(null, { status: 404 });
  }
  if (method === 'POST' && response.ok && bulkDeletePath.test(path)) {
    const { errors } = await response.clone().json();
    const reasons = Object.values(errors ?? {}).flat();
    if (reasons.length > 0) showMessage(reasons.join('\n'), true);
  }
  return undefined;
}
