import fs from 'node:fs';

/** Frame kinds; README.md describes each one. */
export const Kind = {
  script: 1, liquid: 2, schema: 3, reply: 4, cancel: 5, analysis: 6,
  ready: 16, result: 17, error: 18, call: 19, leaving: 20, started: 21,
};

const HeaderBytes = 9;
const FlushBytes = 64 * 1024;
const Empty = Buffer.alloc(0);

/**
 * Frames over standard input and output, all of it synchronous: a script that asks the host for
 * something must be able to wait for the reply in the middle of a call from WebAssembly.
 */
export class Channel {
  #input = Buffer.allocUnsafeSlow(256 * 1024);
  #start = 0;
  #end = 0;
  #queue = [];
  #output = Buffer.allocUnsafeSlow(2 * FlushBytes);
  #outputLength = 0;

  /** The next request, or null when the host has closed the stream. */
  next() {
    while (this.#queue.length === 0) {
      this.flush();
      if (!this.#fill()) return null;
      this.#parse();
    }
    return this.#queue.shift();
  }

  send(kind, id, payload) {
    const needed = HeaderBytes + payload.length;
    if (this.#outputLength + needed > this.#output.length) this.flush();
    if (needed > this.#output.length) this.#output = Buffer.allocUnsafeSlow(needed);
    let at = this.#output.writeUInt32LE(payload.length, this.#outputLength);
    at = this.#output.writeUInt8(kind, at);
    at = this.#output.writeUInt32LE(id, at);
    this.#output.set(payload, at);
    this.#outputLength += needed;
    if (this.#outputLength >= FlushBytes) this.flush();
  }

  /** Sends finished answers and says which request comes next, so that the host blames the right one if it hangs. */
  announce(id) {
    this.send(Kind.started, id, Empty);
    this.flush();
  }

  flush() {
    let written = 0;
    while (written < this.#outputLength) {
      written += retry(() => fs.writeSync(1, this.#output, written, this.#outputLength - written));
    }
    this.#outputLength = 0;
    if (this.#output.length > 32 * FlushBytes) this.#output = Buffer.allocUnsafeSlow(2 * FlushBytes);
  }

  /** Asks the host and waits for its reply; requests that arrive meanwhile stay queued. */
  call(id, payload) {
    this.send(Kind.call, id, payload);
    this.flush();
    for (;;) {
      const at = this.#queue.findIndex(frame => frame.kind === Kind.reply && frame.id === id);
      if (at >= 0) return this.#queue.splice(at, 1)[0].payload;
      if (!this.#fill()) process.exit(0);
      this.#parse();
    }
  }

  #fill() {
    const rest = this.#end - this.#start;
    const wanted = rest >= HeaderBytes ? HeaderBytes + this.#input.readUInt32LE(this.#start) : HeaderBytes;
    const size = Math.max(wanted, 256 * 1024);
    // Queued frames are views of the buffer, so it may be reused only when none is left.
    if (this.#queue.length > 0 || size > this.#input.length || this.#input.length > 16 * size) {
      const next = Buffer.allocUnsafeSlow(size);
      this.#input.copy(next, 0, this.#start, this.#end);
      this.#input = next;
    } else if (this.#start > 0) {
      this.#input.copyWithin(0, this.#start, this.#end);
    }
    this.#start = 0;
    this.#end = rest;
    const read = retry(() => fs.readSync(0, this.#input, rest, this.#input.length - rest, null));
    this.#end += read;
    return read > 0;
  }

  #parse() {
    while (this.#end - this.#start >= HeaderBytes) {
      const length = this.#input.readUInt32LE(this.#start);
      const next = this.#start + HeaderBytes + length;
      if (next > this.#end) return;
      const kind = this.#input[this.#start + 4];
      const id = this.#input.readUInt32LE(this.#start + 5);
      if (kind === Kind.cancel) this.#cancel(id);
      else this.#queue.push({ kind, id, payload: this.#input.subarray(this.#start + HeaderBytes, next) });
      this.#start = next;
    }
  }

  // A cancelled request keeps its place, because the host expects answers in order.
  #cancel(id) {
    const frame = this.#queue.find(f => f.id === id && f.kind !== Kind.reply);
    if (frame !== undefined) frame.kind = Kind.cancel;
  }
}

function retry(operation) {
  for (;;) {
    try {
      return operation();
    } catch (error) {
      if (error.code === 'EOF' || error.code === 'EPIPE') process.exit(0);
      if (error.code !== 'EAGAIN' && error.code !== 'EINTR') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
