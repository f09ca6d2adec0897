function run(args, ctx) {
  let rows = read(args, ctx);
  for (const condition of args.where ?? []) rows = rows.filter(row => meets(row[condition.column], condition.is, condition.value));
  if (args.groupBy || args.aggregate) rows = group(rows, args.groupBy ?? [], args.aggregate ?? [{ function: 'count' }]);
  if (args.sortBy) rows = [...rows].sort((a, b) => compare(a[args.sortBy], b[args.sortBy]) * (args.descending ? -1 : 1));
  if (args.select) rows = rows.map(row => Object.fromEntries(args.select.map(name => [name, row[name] ?? null])));
  const total = rows.length;
  if (args.describe) return { rows: total, columns: describe(rows) };
  rows = rows.slice(0, args.limit ?? 1000);
  const text = args.output === 'csv' ? toCsv(rows, args.separator ?? ',') : null;
  if (args.saveAs) {
    ctx.files.write(args.saveAs, text ?? JSON.stringify(rows, null, 2));
    return { rows: rows.length, total, savedAs: args.saveAs };
  }
  return { total, ...(text === null ? { rows } : { csv: text }) };
}

function read(args, ctx) {
  let data = args.data;
  if (args.file !== undefined) {
    data = ctx.files.read(args.file);
    if (data === null) throw new Error(`There is no file '${args.file}' in the workspace.`);
  }
  if (data === undefined) throw new Error("Give the table as 'data', or the name of a 'file'.");
  if (typeof data === 'string') {
    const start = data.trimStart()[0];
    data = start === '[' || start === '{' ? JSON.parse(data) : fromCsv(data, args.separator ?? ',');
  }
  if (!Array.isArray(data)) data = [data];
  if (data.some(row => row === null || typeof row !== 'object' || Array.isArray(row))) throw new Error('Each row must be an object of values by column.');
  return data;
}

// RFC 4180: quotes around fields with separators, lines or quotes, which are doubled inside.
function fromCsv(text, separator) {
  const records = [];
  let record = [], field = '', quoted = false, wasQuoted = false;
  const endField = () => { record.push(wasQuoted ? field : value(field)); field = ''; wasQuoted = false; };
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') { field += '"'; i++; }
      else quoted = false;
    } else if (c === '"' && field === '') { quoted = true; wasQuoted = true; }
    else if (c === separator) endField();
    else if (c === '\n') { endField(); records.push(record); record = []; }
    else if (c !== '\r') field += c;
  }
  if (quoted) throw new Error('The CSV ends inside of quotes.');
  if (field !== '' || record.length > 0) { endField(); records.push(record); }
  const [header, ...body] = records;
  if (!header) return [];
  const names = header.map((name, i) => String(name === '' || name === null ? `column${i + 1}` : name));
  return body.filter(r => r.length > 1 || r[0] !== null).map(r => Object.fromEntries(names.map((name, i) => [name, r[i] ?? null])));
}

// What looks like a number is one; leading zeros are of codes and stay.
function value(text) {
  const plain = text.trim();
  if (plain === '') return null;
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(plain) ? Number(plain) : text;
}

function toCsv(rows, separator) {
  const names = [...new Set(rows.flatMap(row => Object.keys(row)))];
  const cell = v => {
    const text = v === null || v === undefined ? '' : typeof v === 'object' ? JSON.stringify(v) : String(v);
    return text.includes(separator) || /["\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [names, ...rows.map(row => names.map(name => row[name]))].map(line => line.map(cell).join(separator)).join('\n') + '\n';
}

function meets(actual, is, wanted) {
  const isEmpty = actual === null || actual === undefined || actual === '';
  switch (is) {
    case 'empty': return isEmpty;
    case 'notEmpty': return !isEmpty;
    case 'contains': return String(actual ?? '').toLowerCase().includes(String(wanted).toLowerCase());
    case 'startsWith': return String(actual ?? '').toLowerCase().startsWith(String(wanted).toLowerCase());
    case '=': return compare(actual, wanted) === 0;
    case '!=': return compare(actual, wanted) !== 0;
  }
  if (isEmpty) return false;
  const order = compare(actual, wanted);
  return is === '<' ? order < 0 : is === '<=' ? order <= 0 : is === '>' ? order > 0 : order >= 0;
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [x, y] = [String(a), String(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

function group(rows, by, aggregates) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify(by.map(name => row[name] ?? null));
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  if (by.length === 0 && groups.size === 0) groups.set('[]', []);
  return [...groups.values()].map(members => {
    const result = Object.fromEntries(by.map(name => [name, members[0]?.[name] ?? null]));
    for (const a of aggregates) result[a.as ?? (a.column ? `${a.function}_${a.column}` : a.function)] = aggregate(members, a);
    return result;
  });
}

function aggregate(rows, { function: name, column }) {
  if (name === 'count') return column ? rows.filter(r => r[column] !== null && r[column] !== undefined).length : rows.length;
  if (!column) throw new Error(`'${name}' needs a column.`);
  const values = rows.map(r => r[column]).filter(v => v !== null && v !== undefined);
  if (name === 'distinct') return new Set(values.map(v => JSON.stringify(v))).size;
  if (name === 'min' || name === 'max') return values.length === 0 ? null : values.reduce((a, b) => (compare(a, b) < 0) === (name === 'min') ? a : b);
  const numbers = values.map(Number).filter(Number.isFinite).sort((a, b) => a - b);
  if (numbers.length === 0) return null;
  if (name === 'median') return (numbers[(numbers.length - 1) >> 1] + numbers[numbers.length >> 1]) / 2;
  const sum = numbers.reduce((a, b) => a + b, 0);
  return name === 'sum' ? sum : sum / numbers.length;
}

function describe(rows) {
  return [...new Set(rows.flatMap(row => Object.keys(row)))].map(column => {
    const values = rows.map(r => r[column]).filter(v => v !== null && v !== undefined && v !== '');
    const isNumeric = values.length > 0 && values.every(v => typeof v === 'number');
    const numbers = isNumeric ? { mean: aggregate(rows, { function: 'mean', column }), median: aggregate(rows, { function: 'median', column }) } : {};
    return {
      column, type: isNumeric ? 'number' : values.every(v => typeof v === 'boolean') && values.length > 0 ? 'boolean' : 'text', filled: values.length, empty: rows.length - values.length,
      distinct: new Set(values.map(v => JSON.stringify(v))).size, min: aggregate(rows, { function: 'min', column }), max: aggregate(rows, { function: 'max', column }), ...numbers,
    };
  });
}
