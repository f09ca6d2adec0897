// Okabe and Ito's colours, which people with colour blindness tell apart.
const colours = ['#0072b2', '#e69f00', '#009e73', '#d55e00', '#cc79a7', '#56b4e9', '#f0e442', '#000000'];
const colour = i => colours[i % colours.length];
const escape = text => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const round = n => Math.round(n * 100) / 100;

function run(args, ctx) {
  const width = args.width ?? 800, height = args.height ?? 450;
  const body = args.type === 'pie' || args.type === 'donut' ? pie(args, width, height) : axes(args, width, height);
  const title = args.title ? `<text x="${width / 2}" y="26" text-anchor="middle" font-size="18" font-weight="600">${escape(args.title)}</text>` : '';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="${escape(args.title ?? args.type)}">` +
    `<rect width="100%" height="100%" fill="#fff"/>${title}${body}</svg>\n`;
  if (!args.saveAs) return { svg };
  ctx.files.write(args.saveAs, svg);
  return { savedAs: args.saveAs, bytes: svg.length };
}

function legend(names, x, y) {
  return names.map((name, i) => `<rect x="${x}" y="${y + i * 18}" width="12" height="12" fill="${colour(i)}"/><text x="${x + 18}" y="${y + 10 + i * 18}">${escape(name)}</text>`).join('');
}

function pie({ type, series, labels = [] }, width, height) {
  const values = series[0].values.map(v => Math.max(0, v ?? 0));
  const total = values.reduce((a, b) => a + b, 0);
  if (total <= 0) throw new Error('A pie needs at least one number above 0.');
  const [cx, cy] = [width * 0.4, height / 2 + 12];
  const r = Math.min(width * 0.35, height / 2 - 40);
  let angle = -Math.PI / 2, slices = '';
  values.forEach((value, i) => {
    const end = angle + (value / total) * 2 * Math.PI;
    const at = a => `${round(cx + r * Math.cos(a))} ${round(cy + r * Math.sin(a))}`;
    if (value === total) slices += `<circle cx="${cx}" cy="${cy}" r="${r}" fill="${colour(i)}"/>`;
    else if (value > 0) slices += `<path d="M${cx} ${cy}L${at(angle)}A${r} ${r} 0 ${end - angle > Math.PI ? 1 : 0} 1 ${at(end)}Z" fill="${colour(i)}" stroke="#fff"/>`;
    angle = end;
  });
  if (type === 'donut') slices += `<circle cx="${cx}" cy="${cy}" r="${r * 0.55}" fill="#fff"/>`;
  return slices + legend(values.map((v, i) => `${labels[i] ?? i + 1} (${round((v / total) * 100)} %)`), width * 0.78, 60);
}

function axes({ type, series, labels, xTitle, yTitle }, width, height) {
  const hasLegend = series.length > 1 || series[0].name !== undefined;
  const box = { left: 64, top: 44, right: width - (hasLegend ? 150 : 24), bottom: height - (xTitle ? 62 : 44) };
  const count = Math.max(...series.map(s => s.values.length), labels?.length ?? 0);
  if (count === 0) throw new Error('There are no values.');
  const sums = Array.from({ length: count }, (_, i) => series.reduce((sum, s) => sum + (s.values[i] ?? 0), 0));
  const all = type === 'stacked' ? sums : series.flatMap(s => s.values.filter(v => v !== null));
  const isScatter = type === 'scatter';
  const scale = nice(isScatter ? Math.min(...all) : Math.min(0, ...all), Math.max(isScatter ? -Infinity : 0, ...all));
  const y = v => round(box.bottom - ((v - scale.min) / (scale.max - scale.min)) * (box.bottom - box.top));
  let out = '';
  for (let v = scale.min; v <= scale.max + scale.step / 2; v += scale.step) {
    out += `<line x1="${box.left}" x2="${box.right}" y1="${y(v)}" y2="${y(v)}" stroke="#ddd"/><text x="${box.left - 8}" y="${y(v) + 4}" text-anchor="end">${escape(number(v))}</text>`;
  }

  if (isScatter) {
    const xs = series.flatMap(s => s.values.map((_, i) => s.x?.[i] ?? i));
    const across = nice(Math.min(...xs), Math.max(...xs));
    const x = v => round(box.left + ((v - across.min) / (across.max - across.min)) * (box.right - box.left));
    for (let v = across.min; v <= across.max + across.step / 2; v += across.step) out += `<text x="${x(v)}" y="${box.bottom + 18}" text-anchor="middle">${escape(number(v))}</text>`;
    series.forEach((s, k) => s.values.forEach((v, i) => { if (v !== null) out += `<circle cx="${x(s.x?.[i] ?? i)}" cy="${y(v)}" r="4" fill="${colour(k)}" fill-opacity="0.75"/>`; }));
  } else {
    const slot = (box.right - box.left) / count;
    const x = i => round(box.left + slot * (i + 0.5));
    const every = Math.ceil(count / Math.max(1, Math.floor((box.right - box.left) / 70)));
    for (let i = 0; i < count; i += every) out += `<text x="${x(i)}" y="${box.bottom + 18}" text-anchor="middle">${escape(labels?.[i] ?? i + 1)}</text>`;
    const below = Array(count).fill(0);
    series.forEach((s, k) => {
      if (type === 'bar' || type === 'stacked') {
        const bar = type === 'bar' ? (slot * 0.8) / series.length : slot * 0.7;
        s.values.forEach((v, i) => {
          if (v === null) return;
          const from = type === 'stacked' ? below[i] : 0;
          below[i] += v;
          const left = type === 'bar' ? x(i) - slot * 0.4 + k * bar : x(i) - bar / 2;
          out += `<rect x="${round(left)}" y="${Math.min(y(from), y(from + v))}" width="${round(bar)}" height="${round(Math.abs(y(from) - y(from + v)))}" fill="${colour(k)}"/>`;
        });
        return;
      }
      const points = s.values.map((v, i) => (v === null ? null : `${x(i)},${y(v)}`)).filter(p => p !== null);
      if (type === 'area') out += `<polygon points="${x(0)},${y(0)} ${points.join(' ')} ${x(s.values.length - 1)},${y(0)}" fill="${colour(k)}" fill-opacity="0.25"/>`;
      out += `<polyline points="${points.join(' ')}" fill="none" stroke="${colour(k)}" stroke-width="2"/>`;
    });
  }

  out += `<line x1="${box.left}" x2="${box.right}" y1="${y(Math.max(scale.min, 0))}" y2="${y(Math.max(scale.min, 0))}" stroke="#333"/>`;
  if (xTitle) out += `<text x="${(box.left + box.right) / 2}" y="${height - 14}" text-anchor="middle">${escape(xTitle)}</text>`;
  if (yTitle) out += `<text transform="translate(16 ${(box.top + box.bottom) / 2}) rotate(-90)" text-anchor="middle">${escape(yTitle)}</text>`;
  return out + (hasLegend ? legend(series.map((s, i) => s.name ?? `series ${i + 1}`), width - 138, box.top) : '');
}

// Ends and steps that people read: 1, 2 or 5 times a power of ten.
function nice(low, high) {
  if (!Number.isFinite(low) || !Number.isFinite(high)) throw new Error('There are no values.');
  if (low === high) { low -= 1; high += 1; }
  const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= raw);
  return { min: Math.floor(low / step) * step, max: Math.ceil(high / step) * step, step };
}

function number(v) {
  const text = String(Math.round(v * 1e9) / 1e9);
  return Math.abs(v) < 10000 ? text : text.replace(/\B(?=(\d{3})+(?!\d))/g, ' ');
}
