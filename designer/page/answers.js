// What the server answers Studio, for whoever wants to know.

// Each listener is called with method, path and answer before Studio gets it, and may give Studio another one. Without an answer there is none to look at.
export function watchAnswers(...listeners) {
  const send = window.fetch.bind(window);
  window.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    const method = (init?.method ?? (input instanceof Request ? input.method : 'GET')).toUpperCase();
    let response;
    let failure;
    try {
      response = await send(input, init);
    } catch (error) {
      failure = error;
    }
    const isOurs = url.origin === location.origin && failure?.name !== 'AbortError';
    for (const listener of isOurs ? listeners : []) response = (await listener(method, url.pathname, response)) ?? response;
    if (!response) throw failure;
    return response;
  };
}
