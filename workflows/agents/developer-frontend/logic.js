// Contrast of colours as WCAG 2.2 defines it: relative luminance, and the ratio of two.
const names = new Map([['black', '#000000'], ['white', '#ffffff'], ['red', '#ff0000'], ['green', '#008000'], ['blue', '#0000ff'], ['gray', '#808080'], ['grey', '#808080'], ['yellow', '#ffff00'], ['orange', '#ffa500'], ['navy', '#000080'], ['teal', '#008080'], ['silver', '#c0c0c0'], ['maroon', '#800000'], ['purple', '#800080']]);

function read(text) {
  const given = text.trim().toLowerCase();
  const hex = (names.get(given) ?? given).replace(/^#/, '');
  const full = /^[0-9a-f]{3}$/.test(hex) ? [...hex].map(digit => digit + digit).join('') : hex;
  if (!/^[0-9a-f]{6}$/.test(full)) throw new Error(`'${text}' is no colour that I know. Write it as #rrggbb.`);
  return [0, 2, 4].map(at => parseInt(full.slice(at, at + 2), 16));
}

// WCAG 2.2, "relative luminance"; 0.04045 as IEC 61966-2-1 has it.
function luminance(colour) {
  const [r, g, b] = colour.map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function ratio(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

const hex = colour => `#${colour.map(value => Math.round(value).toString(16).padStart(2, '0')).join('')}`;

// The nearest colour on the way to black or white that reaches a ratio.
function mend(text, background, needed) {
  const target = luminance(background) > 0.179 ? [0, 0, 0] : [255, 255, 255];
  for (let step = 1; step <= 100; step++) {
    const mixed = text.map((value, i) => Math.round(value + (target[i] - value) * step / 100));
    if (ratio(mixed, background) >= needed) return hex(mixed);
  }
  return null;
}

exports.tools = [{
  name: 'contrast',
  description: 'Says how well a colour of text can be read on a background, by WCAG 2.2, and proposes the nearest colour that can.',
  readOnly: true,
  idempotent: true,
  parameters: {
    type: 'object',
    required: ['text', 'background'],
    additionalProperties: false,
    properties: {
      text: { type: 'string', maxLength: 20, description: 'Colour of the text, such as #777777.' },
      background: { type: 'string', maxLength: 20, description: 'Colour behind it.' },
      large: { type: 'boolean', description: 'Whether the text is large: from 24 px, or from 18.7 px in bold.' },
    },
  },
  run({ text, background, large = false }) {
    const [front, back] = [read(text), read(background)];
    const measured = ratio(front, back);
    const needed = large ? 3 : 4.5;
    return {
      ratio: Math.floor(measured * 100) / 100,
      needed,
      aa: measured >= needed,
      aaa: measured >= (large ? 4.5 : 7),
      graphics: measured >= 3,
      proposal: measured >= needed ? null : mend(front, back, needed),
    };
  },
}];
