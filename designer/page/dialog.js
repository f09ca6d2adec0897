// A modal dialog with a title, a body and buttons. Answers with what a button gives; null when it is closed.
export function open({ title, body, buttons, header = [], onOpen }) {
  const dialog = document.createElement('dialog');
  dialog.className = 'page-dialog';
  dialog.setAttribute('aria-label', title);
  const top = document.createElement('header');
  top.append(Object.assign(document.createElement('h2'), { textContent: title }), ...header);
  const middle = Object.assign(document.createElement('div'), { className: 'body' });
  middle.append(body);
  const problems = Object.assign(document.createElement('ol'), { className: 'problems' });
  const bottom = document.createElement('footer');
  dialog.append(top, middle, problems, bottom);
  return new Promise(resolve => {
    const close = value => {
      resolve(value);
      dialog.close();
      dialog.remove();
    };
    for (const { label, run, isPrimary, enabled = true } of [{ label: 'Close', run: () => null }, ...buttons]) {
      const button = Object.assign(document.createElement('button'), { type: 'button', textContent: label, disabled: !enabled });
      if (isPrimary) button.className = 'primary';
      button.addEventListener('click', async () => {
        button.disabled = true;
        try {
          const value = await run();
          if (value !== undefined) close(value);
        } catch (error) {
          show(problems, [{ message: error.message }]);
        } finally {
          button.disabled = !enabled;
        }
      });
      bottom.append(button);
    }
    dialog.addEventListener('cancel', event => {
      event.preventDefault();
      close(null);
    });
    document.body.append(dialog);
    dialog.showModal();
    onOpen?.({ dialog, show: (list, goTo) => show(problems, list, goTo) });
  });
}

// Lists problems; each leads to its place if it has one.
function show(place, list, goTo) {
  place.replaceChildren(...list.map(problem => {
    const item = document.createElement('li');
    if (problem.severity === 'warning') item.className = 'warning';
    if (problem.at === undefined || !goTo) item.textContent = problem.message;
    else {
      const link = Object.assign(document.createElement('button'), { type: 'button', textContent: problem.message });
      link.addEventListener('click', () => goTo(problem.at));
      item.append(link);
    }
    return item;
  }));
}
