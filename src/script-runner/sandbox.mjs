import fs from 'node:fs';
import { randomFillSync } from 'node:crypto';
import { takeSnapshot } from './snapshot.mjs';
import loadQuickJS from '@jitl/quickjs-wasmfile-release-sync/emscripten-module';

const EvalGlobal = 0;
const EvalCompileOnly = 1 << 5;
const EvalAsync = 1 << 7;
const PageBytes = 64 * 1024;
// Fixed by how the package links its WebAssembly.
const InitialPages = 256;
const JobsPerBatch = 1000;
// Room above the script's limit for building the error message after "out of memory".
const Headroom = 4 * 1024 * 1024;

const Random = Buffer.from('random');
const MaxHostCalls = 1000;
const TooManyCalls = Buffer.from(JSON.stringify({ error: `A script may ask its host ${MaxHostCalls} times at most.` }));

const PreludeFiles = ['base', 'bytes', 'time', 'types', 'wire', 'scope', 'functions', 'run'];

/**
 * One QuickJS context whose linear memory is copied back to the state after start-up before every
 * evaluation. No pointer made by an evaluation is freed: the copy takes everything back.
 */
export class Sandbox {
  #qjs; #memory; #bytes; #runtime; #context; #snapshot;
  #functions; #undefined; #fileName; #argv; #jobContext;
  #limits; #channel; #id = 0; #deadline = Infinity; #timedOut = false; #announced = false; #error = 0; #hostCalls = 0;

  static async create(limits, channel) {
    const sandbox = new Sandbox();
    await sandbox.#start(limits, channel);
    return sandbox;
  }

  async #start(limits, channel) {
    this.#limits = limits;
    this.#channel = channel;
    const maximum = InitialPages + Math.ceil((limits.memoryBytes * 1.25 + Headroom) / PageBytes);
    this.#memory = new WebAssembly.Memory({ initial: InitialPages, maximum: Math.min(maximum, 32768) });
    this.#qjs = await loadQuickJS({ wasmMemory: this.#memory });
    this.#qjs.callbacks = {
      callFunction: (_, context, self, count, values) => this.#callHost(values),
      shouldInterrupt: () => this.#shouldInterrupt(),
      freeHostRef() {},
      loadModuleSource: () => 0,
      normalizeModule: () => 0,
    };
    this.#runtime = this.#qjs._QTS_NewRuntime();
    this.#context = this.#qjs._QTS_NewContext(this.#runtime, 0);
    this.#qjs._QTS_RuntimeSetMaxStackSize(this.#runtime, limits.stackBytes);
    this.#qjs._QTS_RuntimeEnableInterruptHandler(this.#runtime);
    this.#undefined = this.#qjs._QTS_GetUndefined();
    this.#fileName = this.#writeText(Buffer.from('script.js'));
    this.#argv = this.#qjs._malloc(16);
    this.#jobContext = this.#qjs._malloc(8);
    this.#installPrelude();
    this.#qjs._QTS_RuntimeSetMemoryLimit(this.#runtime, limits.memoryBytes);
    this.#snapshot = takeSnapshot(this.#memory);
  }

  #installPrelude() {
    const source = PreludeFiles
      .map(name => fs.readFileSync(new URL(`prelude/${name}.js`, import.meta.url), 'utf8')).join('\n');
    const factory = this.#eval(Buffer.from(`(function (native) { 'use strict';\n${source}\n})`), EvalGlobal);
    const name = this.#writeText(Buffer.from('native'));
    const native = this.#qjs._QTS_NewFunction(this.#context, name, 2, 0, 1);
    const exports = this.#call(factory, native);
    if (this.#failed(factory) || this.#failed(exports)) {
      throw new Error(`The prelude failed: ${this.#readText(this.#qjs._QTS_Dump(this.#context, this.#error))}`);
    }
    this.#functions = {};
    for (const key of ['prepare', 'finish', 'collect', 'fail']) {
      const keyValue = this.#qjs._QTS_NewString(this.#context, this.#writeText(Buffer.from(key)));
      this.#functions[key] = this.#qjs._QTS_GetProp(this.#context, exports, keyValue);
    }
  }

  /** Returns { ok, bytes }: the answer as UTF-8 JSON, valid until the next evaluation. */
  evaluate(id, request) {
    this.#snapshot.restore();
    this.#id = id;
    this.#timedOut = false;
    this.#announced = false;
    this.#hostCalls = 0;
    this.#deadline = Date.now() + this.#limits.timeMilliseconds;
    try {
      return this.#run(request);
    } catch (error) {
      if (!(error instanceof OutOfMemory)) throw error;
      return failure('memory', 'The script ran out of memory.');
    } finally {
      this.#deadline = Infinity;
    }
  }

  #run(request) {
    const requestText = this.#qjs._QTS_NewString(this.#context, this.#writeText(request));
    const scriptValue = this.#call(this.#functions.prepare, requestText);
    if (this.#failed(scriptValue)) return this.#explain(0);

    const script = this.#textBytes(scriptValue);
    const awaits = script.includes('await');
    let code = script;
    let shift = 0;
    let flags = awaits ? EvalAsync : EvalGlobal;
    // The value of the last statement needs "eval"; only a top-level return needs a function around the
    // script. Compiling tells them apart without running anything.
    if (script.includes('return') && this.#failed(this.#eval(script, flags | EvalCompileOnly))) {
      const opening = awaits ? '(async function () {\n' : '(function () {\n';
      code = Buffer.concat([Buffer.from(opening), script, Buffer.from('\n})()')]);
      flags = EvalGlobal;
      shift = 1;
    }

    const value = this.#eval(code, flags);
    if (this.#timedOut) return this.#timeout();
    if (this.#failed(value)) return this.#explain(shift);
    if (!this.#runJobs()) return this.#timeout();
    const options = this.#qjs._QTS_NewFloat64(this.#context, (flags === EvalAsync ? 2 : 0) + shift);
    let answer = this.#call(this.#functions.finish, value, options);
    if (this.#timedOut) return this.#timeout();
    if (this.#failed(answer)) return this.#explain(shift);
    if (!this.#qjs._QTS_IsJobPending(this.#runtime)) return this.#answer(answer);
    if (!this.#runJobs()) return this.#timeout();
    answer = this.#call(this.#functions.collect);
    if (this.#timedOut) return this.#timeout();
    return this.#failed(answer) ? this.#explain(shift) : this.#answer(answer);
  }

  #runJobs() {
    while (this.#qjs._QTS_IsJobPending(this.#runtime)) {
      this.#qjs._QTS_ExecutePendingJob(this.#runtime, JobsPerBatch, this.#jobContext);
      if (this.#timedOut || Date.now() > this.#deadline) return false;
    }
    return true;
  }

  #timeout() {
    return failure('timeout', `The script ran longer than ${this.#limits.timeMilliseconds / 1000} s, the time limit.`);
  }

  #explain(shift) {
    if (this.#timedOut) return this.#timeout();
    const error = this.#error;
    this.#qjs._QTS_RuntimeSetMemoryLimit(this.#runtime, this.#limits.memoryBytes + Headroom);
    const answer = this.#call(this.#functions.fail, error, this.#qjs._QTS_NewFloat64(this.#context, shift));
    if (this.#timedOut) return this.#timeout();
    if (this.#failed(answer)) return failure('error', 'The script failed, and its error cannot be described.');
    return this.#answer(answer);
  }

  // The prelude marks an answer with its first character: R for a result, E for an error.
  #answer(value) {
    const bytes = this.#textBytes(value);
    if (bytes.length > this.#limits.resultBytes) {
      return failure('size', `The result is ${bytes.length} bytes of JSON; the limit is ${this.#limits.resultBytes}.`);
    }
    return { ok: bytes[0] === 0x52, bytes: bytes.subarray(1) };
  }

  #shouldInterrupt() {
    if (!this.#announced && this.#deadline !== Infinity) {
      this.#announced = true;
      this.#channel.announce(this.#id);
    }
    if (Date.now() > this.#deadline) this.#timedOut = true;
    return this.#timedOut ? 1 : 0;
  }

  #callHost(values) {
    // An exception must not cross the WebAssembly frames below: their stack pointer would stay behind.
    try {
      const name = this.#textBytes(this.#qjs._QTS_ArgvGetJSValueConstPointer(values, 0));
      const answer = name.equals(Random) ? randomWords() : this.#askHost(values);
      return this.#qjs._QTS_NewString(this.#context, this.#writeText(answer));
    } catch (error) {
      if (!(error instanceof OutOfMemory)) throw error;
      return 0;
    }
  }

  #askHost(values) {
    if (++this.#hostCalls > MaxHostCalls) return TooManyCalls;
    return this.#channel.call(this.#id, this.#textBytes(this.#qjs._QTS_ArgvGetJSValueConstPointer(values, 1)));
  }

  #eval(code, flags) {
    return this.#qjs._QTS_Eval(this.#context, this.#writeText(code), code.length, this.#fileName, 0, flags);
  }

  #call(fn, ...values) {
    const view = new Uint32Array(this.#memory.buffer);
    for (let i = 0; i < values.length; i++) view[(this.#argv >> 2) + i] = values[i];
    return this.#qjs._QTS_Call(this.#context, fn, this.#undefined, values.length, this.#argv);
  }

  // Asking takes the pending exception away, so it is kept for #explain.
  #failed(value) {
    const error = this.#qjs._QTS_ResolveException(this.#context, value);
    if (error !== 0) this.#error = error;
    return error !== 0;
  }

  #writeText(bytes) {
    const at = this.#qjs._malloc(bytes.length + 1);
    if (at === 0) throw new OutOfMemory();
    const heap = this.#heap();
    heap.set(bytes, at);
    heap[at + bytes.length] = 0;
    return at;
  }

  #textBytes(value) {
    const at = this.#qjs._QTS_GetString(this.#context, value);
    if (at === 0) throw new OutOfMemory();
    return this.#readText(at);
  }

  #readText(at) {
    const heap = this.#heap();
    return heap.subarray(at, heap.indexOf(0, at));
  }

  // Growing the memory replaces its buffer.
  #heap() {
    if (this.#bytes?.buffer !== this.#memory.buffer) this.#bytes = Buffer.from(this.#memory.buffer);
    return this.#bytes;
  }
}

class OutOfMemory extends Error {}

function failure(kind, message) {
  return { ok: false, bytes: Buffer.from(JSON.stringify({ kind, message })) };
}

function randomWords() {
  return Buffer.from(JSON.stringify([...randomFillSync(new Uint32Array(4))]));
}
