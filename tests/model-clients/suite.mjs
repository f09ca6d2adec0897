// Runs the clients against a server and prints what worked as JSON: { "results": [{ "client", "test", "ok", "details", "error" }] }.
//
// BASE_URL     where the server is, without /v1 or /api
// API_KEY      its key; none by default
// MODEL        a model that chats and calls tools; default "small"
// EMBED_MODEL  a model that embeds; default "embedder"
// CLIENTS      which clients, separated by commas; default "openai,ollama"
import process from 'node:process';
import { ollamaTests } from './ollama-tests.mjs';
import { openaiTests } from './openai-tests.mjs';

const settings = {
  baseUrl: (process.env.BASE_URL ?? 'http://127.0.0.1:11434').replace(/\/+$/, ''),
  apiKey: process.env.API_KEY || undefined,
  model: process.env.MODEL || 'small',
  embedModel: process.env.EMBED_MODEL || 'embedder',
};
const suites = { openai: openaiTests, ollama: ollamaTests };
const results = [];
for (const client of (process.env.CLIENTS || 'openai,ollama').split(',')) {
  for (const [test, run] of Object.entries(suites[client](settings))) {
    try {
      results.push({ client, test, ok: true, details: await withLimit(run()) });
    } catch (error) {
      results.push({ client, test, ok: false, error: `${error?.name ?? 'Error'}: ${error?.message ?? error}` });
    }
  }
}
process.stdout.write(JSON.stringify({ results }, null, 2) + '\n');
process.exit(results.every(r => r.ok) ? 0 : 1);

// A server that never answers must not hold up the suite.
function withLimit(promise) {
  let timer;
  const limit = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('no end within 60 s')), 60_000); });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
