// Installs the packages when they are missing or older than package-lock.json. Builds may run at the same
// time, so the first one to make the lock folder installs and the others wait for it.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

const folder = new URL('.', import.meta.url);
const lock = new URL('.installing', folder);
const StaleMilliseconds = 10 * 60 * 1000;

const modified = name => fs.statSync(new URL(name, folder), { throwIfNoEntry: false })?.mtimeMs ?? 0;
const isCurrent = () => modified('node_modules/.package-lock.json') > modified('package-lock.json');

function tryLock() {
  try {
    fs.mkdirSync(lock);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    // A build that was stopped leaves its lock behind.
    if (Date.now() - modified('.installing') > StaleMilliseconds) fs.rmSync(lock, { recursive: true, force: true });
    return false;
  }
}

while (!isCurrent()) {
  if (!tryLock()) {
    await wait(200);
    continue;
  }
  try {
    if (isCurrent()) break;
    execFileSync('npm', ['ci', '--omit=dev', '--no-audit', '--no-fund'], {
      cwd: folder, stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32',
    });
    fs.utimesSync(new URL('node_modules/.package-lock.json', folder), new Date(), new Date());
  } finally {
    fs.rmSync(lock, { recursive: true, force: true });
  }
}
