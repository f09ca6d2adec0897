// Runs that were made tests: they are repeated on the newest version, drafts too, and what differs is listed.
import { call, read } from './api.js';
import { open } from './dialog.js';

const pathOf = ({ id }) => `/api/run-tests/${encodeURIComponent(id)}`;

export async function runTests(id) {
  const { items } = await read(`/api/run-tests?definitionId=${encodeURIComponent(id)}&limit=500`);
  const list = Object.assign(document.createElement('ul'), { className: 'run-tests' });
  const rows = items.map(test => {
    const row = document.createElement('li');
    row.append(Object.assign(document.createElement('b'), { textContent: test.name }), ' ', Object.assign(document.createElement('span'), { className: 'result' }));
    show(row, test.result);
    list.append(row);
    return { test, row };
  });
  if (items.length === 0) list.append(Object.assign(document.createElement('li'), { textContent: 'This workflow has no tests. Open an instance that has ended, and press “Make test”: it is repeated then with the answers that it got.' }));
  await open({
    title: 'Tests',
    body: list,
    buttons: [{
      label: 'Run all', isPrimary: true, enabled: items.length > 0,
      run: async () => {
        for (const { test, row } of rows) show(row, await (await call(`${pathOf(test)}/run`, { method: 'POST' })).json());
      },
    }],
  });
}

function show(row, result) {
  const place = row.querySelector('.result');
  place.textContent = !result ? 'not run yet' : result.passed ? `passed on version ${result.version}` : `failed on version ${result.version}`;
  place.classList.toggle('is-error', result?.passed === false);
  row.querySelector('ul')?.remove();
  if (!result || result.passed) return;
  const differences = document.createElement('ul');
  differences.append(...result.differences.map(({ message, expected, actual }) => {
    const line = Object.assign(document.createElement('li'), { textContent: message });
    if (expected !== null || actual !== null) line.append(Object.assign(document.createElement('pre'), { textContent: `then: ${textOf(expected)}\nnow:  ${textOf(actual)}` }));
    return line;
  }));
  row.append(differences);
}

const textOf = value => (value === null ? 'nothing' : JSON.stringify(value));
