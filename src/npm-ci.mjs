// Runs `npm ci` in a folder whose packages are missing or older than what says which they are. Builds may run at the same
// time, so the first one to make the lock folder installs and the others wait for it.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const StaleMilliseconds = 10 * 60 * 1000;

const modified = file => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

// `after` runs once npm has; node_modules/.installed tells that both have succeeded.
export async function ensureInstalled(folder, { args = [], after = () => {} } = {}) {
  const lock = path.join(folder, '.installing');
  const stamp = path.join(folder, 'node_modules', '.installed');
  const isCurrent = () => ['package-lock.json', 'install.mjs'].every(name => modified(stamp) > modified(path.join(folder, name)));
  while (!isCurrent()) {
    if (!tryLock(lock)) {
      await wait(200);
      continue;
    }
    try {
      if (isCurrent()) return;
      execFileSync('npm', ['ci', '--no-audit', '--no-fund', ...args], {
        cwd: folder, stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32',
      });
      after();
      fs.mkdirSync(path.dirname(stamp), { recursive: true });
      fs.writeFileSync(stamp, '');
    } finally {
      fs.rmSync(lock, { recursive: true, force: true });
    }
  }
}

function tryLock(lock) {
  try {
    fs.mkdirSync(lock);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    // A build that was stopped leaves its lock behind.
    if (Date.now() - modified(lock) > StaleMilliseconds) fs.rmSync(lock, { recursive: true, force: true });
    return false;
  }
}
