import { analyseScript } from './analysis.mjs';
import { Channel, Kind } from './channel.mjs';
import { renderLiquid } from './liquid.mjs';
import { Sandbox } from './sandbox.mjs';
import { validateJson } from './schema.mjs';

const limits = {
  timeMilliseconds: Number(process.argv[2] ?? 30000),
  memoryBytes: Number(process.argv[3] ?? 64) * 1024 * 1024,
  resultBytes: Number(process.argv[4] ?? 16 * 1024 * 1024),
  stackBytes: 256 * 1024,
};

const channel = new Channel();
const sandbox = await Sandbox.create(limits, channel);
channel.send(Kind.ready, 0, Buffer.from(JSON.stringify({ node: process.versions.node })));

for (let frame = channel.next(); frame !== null; frame = channel.next()) handle(frame);
process.exit(0);

function handle({ kind, id, payload }) {
  switch (kind) {
    case Kind.script: return runScript(id, payload);
    case Kind.liquid: return answer(id, () => renderLiquid(payload, limits));
    case Kind.schema:
      // A schema's regular expressions cannot be interrupted.
      channel.announce(id);
      return answer(id, () => validateJson(payload));
    case Kind.analysis:
      channel.announce(id);
      return answer(id, () => analyseScript(payload));
    case Kind.cancel: return fail(id, { kind: 'cancelled', message: 'The request was cancelled before it started.' });
    default: return fail(id, { kind: 'error', message: `The runner does not know frames of kind ${kind}.` });
  }
}

function runScript(id, payload) {
  let result;
  try {
    result = sandbox.evaluate(id, payload);
  } catch (error) {
    // WebAssembly trapped or overflowed Node's stack: its state is lost, so the host starts a new runner.
    const deep = error instanceof RangeError;
    fail(id, deep
      ? { kind: 'error', name: 'InternalError', message: 'stack overflow' }
      : { kind: 'crashed', message: `The script engine stopped: ${error.message}` });
    channel.send(Kind.leaving, id, Buffer.alloc(0));
    channel.flush();
    process.exit(3);
  }
  channel.send(result.ok ? Kind.result : Kind.error, id, result.bytes);
}

function answer(id, work) {
  let bytes;
  try {
    bytes = work();
  } catch (error) {
    return fail(id, { kind: error.kind ?? 'error', name: error.name, message: String(error.message) });
  }
  if (bytes.length > limits.resultBytes) {
    const message = `The result is ${bytes.length} bytes; the limit is ${limits.resultBytes}.`;
    return fail(id, { kind: 'size', message });
  }
  channel.send(Kind.result, id, bytes);
}

function fail(id, report) {
  channel.send(Kind.error, id, Buffer.from(JSON.stringify(report)));
}
