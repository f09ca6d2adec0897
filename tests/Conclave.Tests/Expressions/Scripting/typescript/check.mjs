// Checks a script against type definitions. Reads {"definitions", "script"} from the standard input and writes what the compiler says, as JSON.
import fs from 'node:fs';
import ts from 'typescript';

const given = JSON.parse(fs.readFileSync(0, 'utf8'));
const files = { '/elsa.d.ts': given.definitions, '/script.ts': given.script };
const options = {
  target: ts.ScriptTarget.ES2022, lib: ['lib.es2022.d.ts'], types: [], module: ts.ModuleKind.None, moduleDetection: ts.ModuleDetectionKind.Legacy, noEmit: true, strict: true,
};
const host = ts.createCompilerHost(options);
const { getSourceFile, fileExists, readFile } = host;
host.getSourceFile = (name, target) =>
  name in files ? ts.createSourceFile(name, files[name], target) : getSourceFile.call(host, name, target);
host.fileExists = name => name in files || fileExists.call(host, name);
host.readFile = name => files[name] ?? readFile.call(host, name);
const program = ts.createProgram(Object.keys(files), options, host);
const messages = ts.getPreEmitDiagnostics(program).map(found => {
  const line = found.file ? found.file.getLineAndCharacterOfPosition(found.start).line + 1 : 0;
  return `${found.file?.fileName ?? ''}:${line}: ${ts.flattenDiagnosticMessageText(found.messageText, ' ')}`;
});
process.stdout.write(JSON.stringify(messages));
