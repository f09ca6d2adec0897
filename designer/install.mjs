// Installs Elsa Studio.
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from '../src/npm-ci.mjs';

await ensureInstalled(fileURLToPath(new URL('.', import.meta.url)), { args: ['--ignore-scripts'] });
