const Grain = 64 * 1024;
// Static variables that are still zero lie between the data and the stack; they must be restored too.
const Margin = 16 * 1024;

/**
 * Copies the used parts of a WebAssembly memory. Long runs of zeros (the unused stack, the heap not
 * yet reached) are left out: the stack is dead between calls, and the allocator, whose own state is
 * restored, writes fresh heap before anything reads it.
 */
export function takeSnapshot(memory) {
  const heap = new Uint8Array(memory.buffer);
  const parts = usedRanges(heap).map(([from, to]) => ({ from, bytes: heap.slice(from, to) }));
  let view = heap;
  return {
    restore() {
      // Growing the memory replaces its buffer.
      if (view.buffer !== memory.buffer) view = new Uint8Array(memory.buffer);
      for (let i = 0; i < parts.length; i++) view.set(parts[i].bytes, parts[i].from);
    },
  };
}

function usedRanges(heap) {
  const words = new Int32Array(heap.buffer);
  const grain = Grain / 4;
  const ranges = [];
  let from = -1;
  let zeros = 0;
  for (let i = 0; i < words.length; i++) {
    if (words[i] !== 0) {
      if (from < 0) from = i;
      zeros = 0;
    } else if (from >= 0 && ++zeros === grain) {
      ranges.push([from * 4, (i - zeros + 1) * 4 + Margin]);
      from = -1;
      zeros = 0;
    }
  }
  if (from >= 0) ranges.push([from * 4, heap.length]);
  return ranges;
}
