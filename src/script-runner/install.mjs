// Installs what the runner needs.
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from '../npm-ci.mjs';

await ensureInstalled(fileURLToPath(new URL('.', import.meta.url)), { args: ['--omit=dev'] });
