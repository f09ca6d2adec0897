// Calls of the server, and its refusals as errors with texts for people.
const base = '/elsa/api';

export async function call(path, { method = 'GET', body, form } = {}) {
  const response = await fetch(path.startsWith('/') ? path : `${base}/${path}`, {
    method,
    headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
    body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
  });
  if (response.ok) return response;
  throw new Error(await reasonOf(response));
}

export const read = async path => (await call(path)).json();

export const save = async (model, publish = false) => (await (await call('workflow-definitions', { method: 'POST', body: { model, publish } })).json());

// What the server says is wrong, in its own words.
export async function reasonOf(response) {
  if (response.status === 401) return 'You are signed out. Load the page again to sign in.';
  if (response.status === 403) return 'Your account does not have the right to do this.';
  const text = await response.text();
  try {
    const problem = JSON.parse(text);
    if (Array.isArray(problem.errors)) return problem.errors.map(one => one.message).join('\n') || problem.detail;
    if (problem.errors) return Object.values(problem.errors).flat().join('\n');
    return problem.detail ?? problem.modelBindingError ?? problem.title ?? text;
  } catch {
    return text || `${response.status} ${response.statusText}`;
  }
}

export function download(content, name, type = 'application/json') {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  Object.assign(document.createElement('a'), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
