const escape = text => String(text ?? '').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const cell = text => String(text ?? '').replaceAll('|', '\\|').replaceAll('\n', ' ');

function run(args, ctx) {
  const text = args.format === 'html' ? html(args, ctx) : markdown(args);
  if (!args.saveAs) return { report: text };
  ctx.files.write(args.saveAs, text);
  return { savedAs: args.saveAs, bytes: text.length, sections: args.sections.length };
}

function markdown({ title, subtitle, sections }) {
  const lines = [`# ${title}`, ''];
  if (subtitle) lines.push(`*${subtitle}*`, '');
  for (const s of sections) {
    if (s.heading) lines.push(`## ${s.heading}`, '');
    if (s.text) lines.push(s.text.trim(), '');
    if (s.figures) lines.push(...s.figures.map(f => `- **${f.name}**: ${f.value}`), '');
    if (s.items) lines.push(...s.items.map(i => `- ${i}`), '');
    if (s.table) lines.push(`| ${s.table.columns.map(cell).join(' | ')} |`, `|${s.table.columns.map(() => '---').join('|')}|`, ...s.table.rows.map(r => `| ${r.map(cell).join(' | ')} |`), '');
    if (s.code) lines.push('```', s.code.replaceAll('```', "'''"), '```', '');
    if (s.image) lines.push(`![${s.heading ?? s.image}](${s.image})`, '');
  }
  return lines.join('\n');
}

function html({ title, subtitle, sections }, ctx) {
  const named = sections.map((s, i) => [s, i]).filter(([s]) => s.heading);
  const contents = named.length > 2 ? `<nav><ol>${named.map(([s, i]) => `<li><a href="#s${i}">${escape(s.heading)}</a></li>`).join('')}</ol></nav>` : '';
  const body = sections.map((s, i) => [
    `<section id="s${i}">`,
    s.heading ? `<h2>${escape(s.heading)}</h2>` : '',
    (s.text ?? '').split(/\n\s*\n/).filter(p => p.trim() !== '').map(p => `<p>${escape(p.trim()).replaceAll('\n', '<br>')}</p>`).join(''),
    s.figures ? `<dl>${s.figures.map(f => `<div><dt>${escape(f.name)}</dt><dd>${escape(f.value)}</dd></div>`).join('')}</dl>` : '',
    s.items ? `<ul>${s.items.map(item => `<li>${escape(item)}</li>`).join('')}</ul>` : '',
    s.table ? `<table><thead><tr>${s.table.columns.map(c => `<th>${escape(c)}</th>`).join('')}</tr></thead><tbody>${s.table.rows.map(r => `<tr>${r.map(c => `<td>${escape(c)}</td>`).join('')}</tr>`).join('')}</tbody></table>` : '',
    s.code ? `<pre><code>${escape(s.code)}</code></pre>` : '',
    s.image ? image(s, ctx) : '',
    '</section>',
  ].join('')).join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}table{border-collapse:collapse}th,td{border:1px solid #ccc;padding:.3rem .6rem;text-align:left}
dl{display:flex;flex-wrap:wrap;gap:1rem}dl div{border:1px solid #ccc;border-radius:.5rem;padding:.6rem 1rem}dt{font-size:.8rem}dd{margin:0;font-size:1.5rem;font-weight:600}pre{background:#f5f5f5;padding:1rem;overflow:auto}img{max-width:100%}</style></head>
<body><h1>${escape(title)}</h1>${subtitle ? `<p><em>${escape(subtitle)}</em></p>` : ''}${contents}
${body}
</body></html>
`;
}

// As data, so that the page is whole wherever it goes; as an image, an SVG runs no scripts.
function image(section, ctx) {
  const content = section.image.toLowerCase().endsWith('.svg') ? ctx.files.read(section.image) : null;
  return content === null ? `<p>${escape(section.image)}</p>` : `<img alt="${escape(section.heading ?? section.image)}" src="data:image/svg+xml;base64,${stringToBase64(content)}">`;
}
