// Installs the clients.
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from '../../src/npm-ci.mjs';

await ensureInstalled(fileURLToPath(new URL('.', import.meta.url)));
