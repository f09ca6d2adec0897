// Saves leave one after the other, and are answered so that no edit is lost.
// Studio replaces its whole model by each answer of a save, and does not wait for one before it sends the next: what was edited
// while a save was under way would be gone, and a save that overtakes another would be stored under the older one.
const savePath = /\/elsa\/api\/workflow-definitions\/?$/i;
const token = 'Conclave:EditToken';

// Studio sends an edit half a second after it was made: once nothing has been touched for longer than that, all edits are sent.
// Counted in steps, not by the clock: a machine that is busy makes them late, and Studio's own timer as well.
const QuietSteps = 10;
const StepMilliseconds = 100;
// What was touched so shortly before a save was sent may have its effect after it.
const EffectMilliseconds = 400;

// By definition id: { newest: the save that Studio sent last, turn: settles when those before it have been answered }
const queues = new Map();
let lastTouched = -Infinity;
let unstored = 0;

for (const name of ['pointerdown', 'pointerup', 'keydown', 'input', 'paste', 'drop'])
  addEventListener(name, () => { lastTouched = performance.now(); }, { capture: true, passive: true });
// The browser asks whether to leave while something is not stored yet.
addEventListener('beforeunload', event => { if (unstored > 0) event.preventDefault(); });

// Gives how a save is sent and answered; undefined for any other request.
export function saveOf(method, path, input, init) {
  if (method !== 'POST' || !savePath.test(path)) return undefined;
  // Nothing is waited for here: the order in which saves come is the order in which they leave.
  const body = typeof init.body === 'string' ? init.body : new TextDecoder().decode(init.body);
  const { model, publish } = JSON.parse(body);
  const queue = queueOf(model.definitionId);
  // Publishing is a touch of its own.
  const save = { model, holdsBefore: performance.now() - (publish ? 0 : EffectMilliseconds) };
  return {
    send: send => {
      queue.newest = save;
      unstored++;
      // One that has to wait is left out when another comes after it, which holds all of it.
      const turn = queue.turn.then(() => publish || queue.newest === save ? send(input, { ...init, body }) : undefined);
      queue.turn = turn.catch(() => {});
      save.sent = turn.then(response => response ?? queue.newest.sent.then(newest => newest.clone())).finally(() => { unstored--; });
      return save.sent;
    },
    answer: response => response.ok ? answerAtRest(queue, save, response) : response,
  };
}

// Creating has no id yet, and nothing to wait for.
function queueOf(id) {
  const queue = queues.get(id) ?? { turn: Promise.resolve() };
  if (id) queues.set(id, queue);
  return queue;
}

async function answerAtRest(queue, save, response) {
  await untilEditsAreSent(queue);
  if (queue.newest === save) return response;
  const answer = await response.json();
  answer.workflowDefinition = withContentOf(queue.newest.model, answer.workflowDefinition);
  return new Response(JSON.stringify(answer), { status: response.status, headers: { 'Content-Type': 'application/json' } });
}

// Waits until everything that was edited since the newest save has been sent.
async function untilEditsAreSent(queue) {
  for (let steps = 0, seen = lastTouched; lastTouched > queue.newest.holdsBefore && steps < QuietSteps; steps++) {
    await new Promise(resolve => setTimeout(resolve, StepMilliseconds));
    if (seen !== lastTouched) [steps, seen] = [-1, lastTouched];
  }
}

const withContentOf = ({ name, description, variables, inputs, outputs, outcomes, options, root, customProperties }, stored) => ({
  ...stored, name, description, variables, inputs, outputs, outcomes, options, root,
  customProperties: { ...customProperties, [token]: stored.customProperties?.[token] },
});
