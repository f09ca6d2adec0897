// How easily an English text reads: Flesch, "A new readability yardstick", 1948; grade by Kincaid et al., 1975.
function syllables(word) {
  const plain = word.toLowerCase().replace(/[^a-z]/g, '');
  if (plain.length === 0) return 1;
  if (plain.length <= 3) return 1;
  const groups = plain.replace(/(?:[^laeiouy]es|[^td]ed|[^laeiouy]e)$/, '').replace(/^y/, '').match(/[aeiouy]{1,2}/g);
  return groups === null ? 1 : groups.length;
}

const fillers = ['very', 'really', 'quite', 'just', 'actually', 'basically', 'simply', 'literally', 'of course', 'in order to', 'due to the fact that', 'at this point in time', 'leverage', 'utilize', 'synergy', 'cutting-edge', 'world-class', 'seamless', 'robust'];

exports.tools = [{
  name: 'readability',
  description: 'Measures an English text: words, sentences, reading ease (0 to 100, higher is easier), school grade, the longest sentences, passive voice, and words that say nothing.',
  readOnly: true,
  idempotent: true,
  parameters: {
    type: 'object',
    required: ['text'],
    additionalProperties: false,
    properties: { text: { type: 'string', minLength: 1, maxLength: 100000 } },
  },
  run({ text }) {
    const sentences = text.replace(/\s+/g, ' ').split(/(?<=[.!?…])\s+/).map(s => s.trim()).filter(s => /[A-Za-z]/.test(s));
    const wordsOf = sentence => sentence.match(/[A-Za-z][A-Za-z'’-]*/g) ?? [];
    const words = sentences.flatMap(wordsOf);
    if (words.length === 0) return { words: 0, sentences: 0, note: 'There are no English words in it.' };
    const perSentence = words.length / sentences.length;
    const perWord = words.reduce((sum, word) => sum + syllables(word), 0) / words.length;
    const round = value => Math.round(value * 10) / 10;
    const lower = ` ${text.toLowerCase().replace(/\s+/g, ' ')} `;
    return {
      words: words.length,
      sentences: sentences.length,
      wordsPerSentence: round(perSentence),
      readingEase: round(206.835 - 1.015 * perSentence - 84.6 * perWord),
      grade: round(0.39 * perSentence + 11.8 * perWord - 15.59),
      minutesToRead: round(words.length / 238),
      longest: [...sentences].sort((a, b) => wordsOf(b).length - wordsOf(a).length).slice(0, 3).filter(s => wordsOf(s).length > 25),
      passive: sentences.filter(s => /\b(?:is|are|was|were|been|being|be)\s+(?:\w+ly\s+)?\w+(?:ed|en)\b/i.test(s)).length,
      fillers: fillers.filter(filler => lower.includes(` ${filler} `)),
    };
  },
}];
