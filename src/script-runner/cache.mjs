/** Keeps the most recently used entries, up to a number of entries and a total length of keys. */
export class Cache {
  #entries = new Map();
  #length = 0;

  constructor(maxEntries, maxLength) {
    this.maxEntries = maxEntries;
    this.maxLength = maxLength;
  }

  getOrAdd(key, create) {
    let value = this.#entries.get(key);
    if (value !== undefined) {
      this.#entries.delete(key);
    } else {
      value = create(key);
      this.#length += key.length;
    }
    this.#entries.set(key, value);
    this.#trim();
    return value;
  }

  #trim() {
    for (const key of this.#entries.keys()) {
      if (this.#entries.size <= this.maxEntries && this.#length <= this.maxLength) return;
      this.#entries.delete(key);
      this.#length -= key.length;
    }
  }
}
