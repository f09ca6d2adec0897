function count({ text }) {
  return {
    words: (text.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu) ?? []).length,
    sentences: text.split(/[.!?…]+(?:\s|$)/).filter(sentence => sentence.trim() !== '').length,
    characters: [...text].length,
  };
}
