// What the server answers Studio, for whoever wants to know.
import { saveOf } from './saves.js';

// Each listener is called with method, path and answer before Studio gets it, and may give Studio another one. Without an answer there is none to look at.
export function watchAnswers(...listeners) {
  const send = window.fetch.bind(window);
  window.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    const method = (init?.method ?? (input instanceof Request ? input.method : 'GET')).toUpperCase();
    const isOurs = url.origin === location.origin;
    const save = isOurs ? saveOf(method, url.pathname, input, init) : undefined;
    let response;
    let failure;
    try {
      response = await (save ? save.send(send) : send(input, init));
    } catch (error) {
      failure = error;
    }
    const isTold = isOurs && failure?.name !== 'AbortError';
    for (const listener of isTold ? listeners : []) response = (await listener(method, url.pathname, response)) ?? response;
    if (!response) throw failure;
    return save ? save.answer(response) : response;
  };
}
