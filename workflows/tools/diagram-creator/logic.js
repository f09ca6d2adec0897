const escape = text => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const round = n => Math.round(n * 10) / 10;

function run(args, ctx) {
  const nodes = allNodes(args);
  const drawing = args.type === 'sequence' ? sequence(nodes, args.edges) : flowchart(nodes, args.edges, args.direction ?? 'down');
  const top = args.title ? 40 : 0;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${round(drawing.width)}" height="${round(drawing.height + top)}" viewBox="0 ${-top} ${round(drawing.width)} ${round(drawing.height + top)}" font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="${escape(args.title ?? args.type)}">` +
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#333"/></marker></defs>' +
    `<rect y="${-top}" width="100%" height="100%" fill="#fff"/>${args.title ? `<text x="${round(drawing.width / 2)}" y="-14" text-anchor="middle" font-size="17" font-weight="600">${escape(args.title)}</text>` : ''}${drawing.body}</svg>\n`;
  const mermaid = toMermaid(args, nodes);
  if (!args.saveAs) return { svg, mermaid };
  ctx.files.write(args.saveAs, svg);
  return { savedAs: args.saveAs, mermaid };
}

// Nodes that only edges name are there as well.
function allNodes({ nodes = [], edges }) {
  const known = new Map(nodes.map(n => [n.id, { label: n.id, shape: 'box', ...n }]));
  if (known.size !== nodes.length) throw new Error('Two nodes have the same id.');
  for (const { from, to } of edges) for (const id of [from, to]) if (!known.has(id)) known.set(id, { id, label: id, shape: 'box' });
  if (known.size === 0) throw new Error('There is nothing to draw.');
  return [...known.values()];
}

const widthOf = node => Math.max(70, node.label.length * 7.6 + 28) * (node.shape === 'diamond' ? 1.4 : 1);
const heightOf = node => node.shape === 'diamond' || node.shape === 'circle' ? 64 : 40;

/** Layers by the longest way from a start; edges that close a circle do not count. */
function layers(nodes, edges) {
  const next = new Map(nodes.map(n => [n.id, []]));
  for (const e of edges) if (e.from !== e.to) next.get(e.from).push(e.to);
  const state = new Map(), order = [], back = new Set();
  for (const { id } of nodes) {
    if (state.has(id)) continue;
    const stack = [[id, 0]];
    state.set(id, 'open');
    while (stack.length > 0) {
      const frame = stack.at(-1), children = next.get(frame[0]);
      if (frame[1] === children.length) { state.set(frame[0], 'done'); order.unshift(frame[0]); stack.pop(); continue; }
      const child = children[frame[1]++];
      if (state.get(child) === 'open') back.add(`${frame[0]}\n${child}`);
      else if (!state.has(child)) { state.set(child, 'open'); stack.push([child, 0]); }
    }
  }
  const level = new Map(nodes.map(n => [n.id, 0]));
  for (const id of order) for (const child of next.get(id)) if (!back.has(`${id}\n${child}`)) level.set(child, Math.max(level.get(child), level.get(id) + 1));
  const result = [];
  for (const node of nodes) (result[level.get(node.id)] ??= []).push(node);
  // Each layer in the order of the middle of what leads to it, so that fewer edges cross.
  for (let l = 1; l < result.length; l++) {
    const place = new Map(result[l - 1].map((n, i) => [n.id, i]));
    const middle = n => { const from = edges.filter(e => e.to === n.id && place.has(e.from)).map(e => place.get(e.from)); return from.length ? from.reduce((a, b) => a + b, 0) / from.length : 0; };
    result[l] = result[l].map(n => [middle(n), n]).sort((a, b) => a[0] - b[0]).map(([, n]) => n);
  }
  return result;
}

function flowchart(nodes, edges, direction) {
  const isDown = direction === 'down', gap = 36, between = 64, margin = 24;
  const along = n => isDown ? widthOf(n) : heightOf(n), across = n => isDown ? heightOf(n) : widthOf(n);
  const rows = layers(nodes, edges);
  const spans = rows.map(row => row.reduce((sum, n) => sum + along(n) + gap, -gap));
  const widest = Math.max(...spans);
  const at = new Map();
  let depth = margin;
  rows.forEach((row, l) => {
    const thick = Math.max(...row.map(across));
    let place = margin + (widest - spans[l]) / 2;
    for (const n of row) {
      const a = place + along(n) / 2, c = depth + thick / 2;
      at.set(n.id, isDown ? { x: a, y: c } : { x: c, y: a });
      place += along(n) + gap;
    }
    depth += thick + between;
  });
  const size = [widest + margin * 2 + 40, depth - between + margin];
  const level = new Map(rows.flatMap((row, l) => row.map(n => [n.id, l])));
  const byId = new Map(nodes.map(n => [n.id, n]));
  const body = edges.map(e => edge(e, at, byId, level, isDown)).join('') + nodes.map(n => shape(n, at.get(n.id))).join('');
  return { body, width: isDown ? size[0] : size[1], height: isDown ? size[1] : size[0] };
}

function edge({ from, to, label, dashed }, at, byId, level, isDown) {
  const a = at.get(from), b = at.get(to), [na, nb] = [byId.get(from), byId.get(to)];
  const style = `fill="none" stroke="#333" stroke-width="1.4" marker-end="url(#arrow)"${dashed ? ' stroke-dasharray="5 4"' : ''}`;
  let path, mid;
  if (from === to) {
    const x = a.x + widthOf(na) / 2;
    path = `M${round(x)} ${round(a.y - 8)}C${round(x + 34)} ${round(a.y - 26)} ${round(x + 34)} ${round(a.y + 26)} ${round(x)} ${round(a.y + 8)}`;
    mid = { x: x + 30, y: a.y };
  } else if (level.get(to) > level.get(from)) {
    const s = isDown ? { x: a.x, y: a.y + heightOf(na) / 2 } : { x: a.x + widthOf(na) / 2, y: a.y };
    const t = isDown ? { x: b.x, y: b.y - heightOf(nb) / 2 } : { x: b.x - widthOf(nb) / 2, y: b.y };
    mid = { x: (s.x + t.x) / 2, y: (s.y + t.y) / 2 };
    path = isDown ? `M${round(s.x)} ${round(s.y)}C${round(s.x)} ${round(mid.y)} ${round(t.x)} ${round(mid.y)} ${round(t.x)} ${round(t.y)}`
      : `M${round(s.x)} ${round(s.y)}C${round(mid.x)} ${round(s.y)} ${round(mid.x)} ${round(t.y)} ${round(t.x)} ${round(t.y)}`;
  } else {
    // Back, around the side.
    const s = isDown ? { x: a.x + widthOf(na) / 2, y: a.y } : { x: a.x, y: a.y + heightOf(na) / 2 };
    const t = isDown ? { x: b.x + widthOf(nb) / 2, y: b.y } : { x: b.x, y: b.y + heightOf(nb) / 2 };
    const out = isDown ? Math.max(s.x, t.x) + 36 : Math.max(s.y, t.y) + 36;
    path = isDown ? `M${round(s.x)} ${round(s.y)}C${round(out)} ${round(s.y)} ${round(out)} ${round(t.y)} ${round(t.x)} ${round(t.y)}` : `M${round(s.x)} ${round(s.y)}C${round(s.x)} ${round(out)} ${round(t.x)} ${round(out)} ${round(t.x)} ${round(t.y)}`;
    mid = isDown ? { x: out - 10, y: (s.y + t.y) / 2 } : { x: (s.x + t.x) / 2, y: out - 10 };
  }
  const text = label ? `<text x="${round(mid.x)}" y="${round(mid.y - 4)}" text-anchor="middle" paint-order="stroke" stroke="#fff" stroke-width="4">${escape(label)}</text>` : '';
  return `<path d="${path}" ${style}/>${text}`;
}

function shape(node, { x, y }) {
  const w = widthOf(node), h = heightOf(node), style = 'fill="#eef3ff" stroke="#3b5bdb" stroke-width="1.4"';
  const outline = node.shape === 'diamond' ? `<polygon points="${round(x)},${round(y - h / 2)} ${round(x + w / 2)},${round(y)} ${round(x)},${round(y + h / 2)} ${round(x - w / 2)},${round(y)}" ${style}/>`
    : node.shape === 'circle' ? `<ellipse cx="${round(x)}" cy="${round(y)}" rx="${round(w / 2)}" ry="${round(h / 2)}" ${style}/>`
    : `<rect x="${round(x - w / 2)}" y="${round(y - h / 2)}" width="${round(w)}" height="${round(h)}" rx="${node.shape === 'round' ? h / 2 : 6}" ${style}/>`;
  return `${outline}<text x="${round(x)}" y="${round(y + 4.5)}" text-anchor="middle">${escape(node.label)}</text>`;
}

function sequence(nodes, edges) {
  const step = Math.max(150, ...nodes.map(n => widthOf(n) + 40), ...edges.map(e => (e.label ?? '').length * 7 + 40));
  const x = new Map(nodes.map((n, i) => [n.id, 20 + step * (i + 0.5)]));
  const height = 90 + edges.length * 46 + 30;
  let body = nodes.map(n => `<line x1="${round(x.get(n.id))}" x2="${round(x.get(n.id))}" y1="44" y2="${height - 14}" stroke="#999" stroke-dasharray="4 4"/>${shape({ ...n, shape: 'box' }, { x: x.get(n.id), y: 34 })}`).join('');
  edges.forEach((e, i) => {
    const y = 96 + i * 46, [a, b] = [x.get(e.from), x.get(e.to)];
    const line = a === b ? `<path d="M${round(a)} ${y}h40v20h-36" ` : `<path d="M${round(a)} ${y}L${round(b)} ${y}" `;
    body += `${line}fill="none" stroke="#333" stroke-width="1.4" marker-end="url(#arrow)"${e.dashed ? ' stroke-dasharray="5 4"' : ''}/>` +
      (e.label ? `<text x="${round(a === b ? a + 48 : (a + b) / 2)}" y="${y - 6}" text-anchor="${a === b ? 'start' : 'middle'}">${escape(e.label)}</text>` : '');
  });
  return { body, width: 40 + step * nodes.length, height };
}

function toMermaid({ type, edges, direction }, nodes) {
  const ids = new Map(nodes.map((n, i) => [n.id, /^\w+$/.test(n.id) ? n.id : `n${i}`]));
  const text = t => String(t).replaceAll('"', '#quot;').replaceAll('\n', ' ');
  if (type === 'sequence') {
    return ['sequenceDiagram', ...nodes.map(n => `  participant ${ids.get(n.id)} as ${text(n.label)}`), ...edges.map(e => `  ${ids.get(e.from)}${e.dashed ? '-->>' : '->>'}${ids.get(e.to)}: ${text(e.label ?? '')}`)].join('\n');
  }
  const form = { box: ['["', '"]'], round: ['("', '")'], diamond: ['{"', '"}'], circle: ['(("', '"))'] };
  return [`flowchart ${direction === 'right' ? 'LR' : 'TD'}`, ...nodes.map(n => `  ${ids.get(n.id)}${form[n.shape][0]}${text(n.label)}${form[n.shape][1]}`),
    ...edges.map(e => `  ${ids.get(e.from)} ${e.dashed ? '-.->' : '-->'}${e.label ? `|"${text(e.label)}"|` : ''} ${ids.get(e.to)}`)].join('\n');
}
