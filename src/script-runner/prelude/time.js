// Time is kept in whole milliseconds plus the 100 ns ticks below one, so that a .NET value that
// passes through a script comes back exact.
const TicksPerMs = 10000;
const DayMs = 86400000;
const DayNames = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MonthNames = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September',
  'October', 'November', 'December'];

const pad = (number, width) => String(number).padStart(width, '0');
const localOffsetMs = ms => -new Date(ms).getTimezoneOffset() * 60000;

class TimeSpan {
  constructor(a = 0, b, c, d, e) {
    // As in .NET: (ticks), (hours, minutes, seconds), (days, hours, minutes, seconds[, milliseconds]).
    if (b === undefined) this._ms = Number(a) / TicksPerMs;
    else if (d === undefined) this._ms = ((a * 60 + b) * 60 + (c || 0)) * 1000;
    else this._ms = (((a * 24 + b) * 60 + c) * 60 + d) * 1000 + (e || 0);
  }
  static FromDays(value) { return spanOf(value * DayMs); }
  static FromHours(value) { return spanOf(value * 3600000); }
  static FromMinutes(value) { return spanOf(value * 60000); }
  static FromSeconds(value) { return spanOf(value * 1000); }
  static FromMilliseconds(value) { return spanOf(value); }
  static FromTicks(value) { return spanOf(Number(value) / TicksPerMs); }
  static get Zero() { return spanOf(0); }
  static Parse(text) {
    const parsed = parseSpan(text);
    if (parsed === null) throw new TypeError(`'${text}' is not a time span. Write it as [d.]hh:mm:ss[.fffffff].`);
    return parsed;
  }
  static Compare(a, b) { return sign(a._ms - b._ms); }
  get TotalDays() { return this._ms / DayMs; }
  get TotalHours() { return this._ms / 3600000; }
  get TotalMinutes() { return this._ms / 60000; }
  get TotalSeconds() { return this._ms / 1000; }
  get TotalMilliseconds() { return this._ms; }
  get Days() { return trunc(this._ms / DayMs) + 0; }
  get Hours() { return trunc(this._ms / 3600000) % 24 + 0; }
  get Minutes() { return trunc(this._ms / 60000) % 60 + 0; }
  get Seconds() { return trunc(this._ms / 1000) % 60 + 0; }
  get Milliseconds() { return trunc(this._ms) % 1000 + 0; }
  get Ticks() { return round(this._ms * TicksPerMs); }
  Add(other) { return spanOf(this._ms + other._ms); }
  Subtract(other) { return spanOf(this._ms - other._ms); }
  Multiply(factor) { return spanOf(this._ms * factor); }
  Divide(by) { return by instanceof TimeSpan ? this._ms / by._ms : spanOf(this._ms / by); }
  Negate() { return spanOf(-this._ms); }
  Duration() { return spanOf(abs(this._ms)); }
  CompareTo(other) { return sign(this._ms - other._ms); }
  Equals(other) { return other instanceof TimeSpan && other._ms === this._ms; }
  ToString() { return this.toString(); }
  toString() {
    let ticks = round(abs(this._ms) * TicksPerMs);
    const fraction = ticks % 10000000;
    ticks = (ticks - fraction) / 10000000;
    const days = floor(ticks / 86400);
    return (this._ms < 0 ? '-' : '') + (days > 0 ? days + '.' : '') + pad(floor(ticks / 3600) % 24, 2) + ':' +
      pad(floor(ticks / 60) % 60, 2) + ':' + pad(ticks % 60, 2) + (fraction > 0 ? '.' + pad(fraction, 7) : '');
  }
  toJSON() { return this.toString(); }
  valueOf() { return this._ms; }
}

function spanOf(ms) {
  const span = new TimeSpan(0);
  span._ms = Number(ms);
  return span;
}

function parseSpan(text) {
  const match = /^\s*(-)?(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?\s*$/.exec(text);
  if (match === null) return /^\s*-?\d+\s*$/.test(text) ? spanOf(Number(text) * DayMs) : null;
  const minutes = (Number(match[2] || 0) * 24 + Number(match[3])) * 60 + Number(match[4]);
  const seconds = minutes * 60 + Number(match[5] || 0);
  const ms = seconds * 1000 + Number((match[6] || '').padEnd(7, '0')) / TicksPerMs;
  return spanOf(match[1] ? -ms : ms);
}

/** What DateTime and DateTimeOffset share: a wall clock (as if it were UTC) that can be read and moved. */
class WallClock {
  get Year() { return this._clock().getUTCFullYear(); }
  get Month() { return this._clock().getUTCMonth() + 1; }
  get Day() { return this._clock().getUTCDate(); }
  get Hour() { return this._clock().getUTCHours(); }
  get Minute() { return this._clock().getUTCMinutes(); }
  get Second() { return this._clock().getUTCSeconds(); }
  get Millisecond() { return this._clock().getUTCMilliseconds(); }
  get DayOfWeek() { return DayNames[this._clock().getUTCDay()]; }
  get DayOfYear() { return floor((this._wall - Date.UTC(this.Year, 0, 1)) / DayMs) + 1; }
  get TimeOfDay() { return spanOf((((this._wall % DayMs) + DayMs) % DayMs) + this._ticks / TicksPerMs); }
  get Ticks() { return (this._wall + 62135596800000) * TicksPerMs + this._ticks; }
  AddMilliseconds(value) {
    const moved = this._ticks + round(value * TicksPerMs);
    return this._at(this._wall + floor(moved / TicksPerMs), ((moved % TicksPerMs) + TicksPerMs) % TicksPerMs);
  }
  AddTicks(value) { return this.AddMilliseconds(Number(value) / TicksPerMs); }
  AddSeconds(value) { return this.AddMilliseconds(value * 1000); }
  AddMinutes(value) { return this.AddMilliseconds(value * 60000); }
  AddHours(value) { return this.AddMilliseconds(value * 3600000); }
  AddDays(value) { return this.AddMilliseconds(value * DayMs); }
  AddYears(value) { return this.AddMonths(value * 12); }
  AddMonths(value) {
    const clock = this._clock();
    const months = clock.getUTCFullYear() * 12 + clock.getUTCMonth() + trunc(value);
    const year = floor(months / 12);
    const month = months - year * 12;
    const day = min(clock.getUTCDate(), DateTime.DaysInMonth(year, month + 1));
    return this._at(utc(year, month, day) + (((this._wall % DayMs) + DayMs) % DayMs), this._ticks);
  }
  Add(span) { return this.AddMilliseconds(span._ms); }
  Subtract(other) {
    return other instanceof TimeSpan ? this.AddMilliseconds(-other._ms)
      : spanOf(this._instant() - other._instant() + (this._ticks - other._ticks) / TicksPerMs);
  }
  CompareTo(other) { return sign(this._instant() - other._instant() || this._ticks - other._ticks); }
  Equals(other) { return other instanceof WallClock && this.CompareTo(other) === 0; }
  ToString(format) { return formatMoment(this, format || this._defaultFormat()); }
  ToShortDateString() { return this.ToString('MM/dd/yyyy'); }
  ToShortTimeString() { return this.ToString('HH:mm'); }
  toString() { return this.ToString(); }
  toJSON() { return formatMoment(this, 'yyyy-MM-ddTHH:mm:ss') + this._fraction() + this._zone(); }
  valueOf() { return this._instant(); }
  _clock() { return new Date(this._wall); }
  _fraction() {
    const ticks = (((this._wall % 1000) + 1000) % 1000) * TicksPerMs + this._ticks;
    return ticks === 0 ? '' : '.' + pad(ticks, 7).replace(/0+$/, '');
  }
}

class DateTime extends WallClock {
  constructor(year = 1, month = 1, day = 1, hour = 0, minute = 0, second = 0, millisecond = 0) {
    super();
    this._wall = utc(year, month - 1, day) + ((hour * 60 + minute) * 60 + second) * 1000 + millisecond;
    this._ticks = 0;
    this._kind = 'Unspecified';
  }
  static get Now() { const now = Date.now(); return dateTimeOf(now + localOffsetMs(now), 0, 'Local'); }
  static get UtcNow() { return dateTimeOf(Date.now(), 0, 'Utc'); }
  static get Today() { return DateTime.Now.Date; }
  static get MinValue() { return dateTimeOf(-62135596800000, 0, 'Unspecified'); }
  static get MaxValue() { return dateTimeOf(253402300799999, 9999, 'Unspecified'); }
  static get UnixEpoch() { return dateTimeOf(0, 0, 'Utc'); }
  static Parse(text) { return parseDateTime(text) ?? notADate(text); }
  static IsLeapYear(year) { return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0); }
  static DaysInMonth(year, month) { return new Date(utc(year, month, 0)).getUTCDate(); }
  static SpecifyKind(value, kind) { return dateTimeOf(value._wall, value._ticks, kind); }
  static Compare(a, b) { return a.CompareTo(b); }
  get Kind() { return this._kind; }
  get Date() { return this._at(floor(this._wall / DayMs) * DayMs, 0); }
  ToUniversalTime() { return dateTimeOf(this._wall - this._offset(), this._ticks, 'Utc'); }
  ToLocalTime() {
    return this._kind === 'Local' ? this : dateTimeOf(this._wall + localOffsetMs(this._wall), this._ticks, 'Local');
  }
  _at(wall, ticks) { return dateTimeOf(wall, ticks, this._kind); }
  _offset() { return this._kind === 'Utc' ? 0 : localOffsetMs(this._wall); }
  _instant() { return this._kind === 'Local' ? this._wall - this._offset() : this._wall; }
  _zone() { return this._kind === 'Utc' ? 'Z' : this._kind === 'Local' ? formatOffset(this._offset()) : ''; }
  _defaultFormat() { return 'MM/dd/yyyy HH:mm:ss'; }
}

class DateTimeOffset extends WallClock {
  constructor(...parts) {
    super();
    const last = parts[parts.length - 1];
    const offset = last instanceof TimeSpan ? parts.pop()._ms : 0;
    const clock = parts[0] instanceof DateTime ? parts[0] : new DateTime(...parts);
    this._wall = clock._wall;
    this._ticks = clock._ticks;
    this._offsetMs = last instanceof DateTime ? clock._offset() : offset;
  }
  static get Now() { const now = Date.now(); return offsetOf(now + localOffsetMs(now), 0, localOffsetMs(now)); }
  static get UtcNow() { return offsetOf(Date.now(), 0, 0); }
  static get MinValue() { return offsetOf(-62135596800000, 0, 0); }
  static get MaxValue() { return offsetOf(253402300799999, 9999, 0); }
  static get UnixEpoch() { return offsetOf(0, 0, 0); }
  static Parse(text) { return parseDateTimeOffset(text) ?? notADate(text); }
  static FromUnixTimeSeconds(value) { return offsetOf(value * 1000, 0, 0); }
  static FromUnixTimeMilliseconds(value) { return offsetOf(value, 0, 0); }
  static Compare(a, b) { return a.CompareTo(b); }
  get Offset() { return spanOf(this._offsetMs); }
  get Date() { return dateTimeOf(floor(this._wall / DayMs) * DayMs, 0, 'Unspecified'); }
  get DateTime() { return dateTimeOf(this._wall, this._ticks, 'Unspecified'); }
  get UtcDateTime() { return dateTimeOf(this._instant(), this._ticks, 'Utc'); }
  get LocalDateTime() { return this.UtcDateTime.ToLocalTime(); }
  ToUniversalTime() { return offsetOf(this._instant(), this._ticks, 0); }
  ToLocalTime() { return this.ToOffset(spanOf(localOffsetMs(this._instant()))); }
  ToOffset(span) { return offsetOf(this._instant() + span._ms, this._ticks, span._ms); }
  ToUnixTimeSeconds() { return floor(this._instant() / 1000); }
  ToUnixTimeMilliseconds() { return this._instant(); }
  _at(wall, ticks) { return offsetOf(wall, ticks, this._offsetMs); }
  _offset() { return this._offsetMs; }
  _instant() { return this._wall - this._offsetMs; }
  _zone() { return formatOffset(this._offsetMs); }
  _defaultFormat() { return 'MM/dd/yyyy HH:mm:ss zzz'; }
}

// Date.UTC takes the years 0 to 99 as 1900 to 1999.
function utc(year, month, day) {
  return new Date(0).setUTCFullYear(year, month, day);
}

function dateTimeOf(wall, ticks, kind) {
  const value = create(DateTime.prototype);
  value._wall = wall;
  value._ticks = ticks;
  value._kind = kind;
  return value;
}

function offsetOf(wall, ticks, offsetMs) {
  const value = create(DateTimeOffset.prototype);
  value._wall = wall;
  value._ticks = ticks;
  value._offsetMs = offsetMs;
  return value;
}

const IsoPattern =
  /^\s*(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d\d:?\d\d)?\s*$/i;

function parseWallClock(text) {
  const iso = IsoPattern.exec(text);
  if (iso === null) {
    const other = Date.parse(text);
    return other !== other ? null : { wall: other, ticks: 0, offset: 0, zone: 'Z' };
  }
  const [, year, month, day, hour = 0, minute = 0, second = 0, fraction = '', zone = ''] = iso;
  const ticks = Number(fraction.padEnd(7, '0').slice(0, 7));
  const seconds = (hour * 60 + Number(minute)) * 60 + Number(second);
  const wall = utc(Number(year), month - 1, Number(day)) + seconds * 1000;
  if (month < 1 || month > 12 || day < 1 || day > DateTime.DaysInMonth(Number(year), Number(month))) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;
  const digits = zone.replace(':', '');
  const minutes = digits.length === 5 ? digits.slice(1, 3) * 60 + Number(digits.slice(3)) : 0;
  const offset = (digits[0] === '-' ? -minutes : minutes) * 60000;
  return { wall: wall + floor(ticks / TicksPerMs), ticks: ticks % TicksPerMs, offset, zone };
}

function parseDateTime(text) {
  const clock = parseWallClock(text);
  if (clock === null) return null;
  if (clock.zone === '') return dateTimeOf(clock.wall, clock.ticks, 'Unspecified');
  return dateTimeOf(clock.wall - clock.offset, clock.ticks, 'Utc');
}

function parseDateTimeOffset(text) {
  const clock = parseWallClock(text);
  return clock === null ? null : offsetOf(clock.wall, clock.ticks, clock.offset);
}

function notADate(text) {
  throw new TypeError(`'${text}' is not a date. Write it in ISO 8601, for example 2026-01-31T12:00:00Z.`);
}

function formatOffset(ms) {
  const minutes = abs(ms) / 60000;
  return (ms < 0 ? '-' : '+') + pad(floor(minutes / 60), 2) + ':' + pad(minutes % 60, 2);
}

const StandardFormats = {
  s: 'yyyy-MM-ddTHH:mm:ss', u: 'yyyy-MM-dd HH:mm:ssZ', d: 'MM/dd/yyyy', D: 'dddd, dd MMMM yyyy',
  t: 'HH:mm', T: 'HH:mm:ss', g: 'MM/dd/yyyy HH:mm', G: 'MM/dd/yyyy HH:mm:ss', f: 'dddd, dd MMMM yyyy HH:mm',
  F: 'dddd, dd MMMM yyyy HH:mm:ss', M: 'MMMM dd', m: 'MMMM dd', Y: 'yyyy MMMM', y: 'yyyy MMMM',
  R: 'ddd, dd MMM yyyy HH:mm:ss "GMT"', r: 'ddd, dd MMM yyyy HH:mm:ss "GMT"', o: 'yyyy-MM-ddTHH:mm:ss.fffffffK',
  O: 'yyyy-MM-ddTHH:mm:ss.fffffffK',
};

/** .NET's standard and custom date formats in the invariant culture. */
function formatMoment(moment, format) {
  const clock = moment._clock();
  const year = clock.getUTCFullYear();
  const day = clock.getUTCDate();
  const hour = clock.getUTCHours();
  const ticks = pad((((moment._wall % 1000) + 1000) % 1000) * TicksPerMs + moment._ticks, 7);
  const pattern = hasOwn(StandardFormats, format) ? StandardFormats[format] : format;
  return pattern.replace(/'([^']*)'|"([^"]*)"|\\(.)|%|y+|M+|d+|H+|h+|m+|s+|f+|F+|t+|z+|K/g, (token, a, b, c) => {
    switch (token[0]) {
      case "'": return a;
      case '"': return b;
      case '\\': return c;
      case '%': return '';
      case 'y': return pad(token.length <= 2 ? year % 100 : year, token.length);
      case 'M': return name(MonthNames, clock.getUTCMonth(), 1, token.length);
      case 'd': return token.length > 2 ? name(DayNames, clock.getUTCDay(), 0, token.length) : pad(day, token.length);
      case 'H': return pad(hour, token.length);
      case 'h': return pad(hour % 12 || 12, token.length);
      case 'm': return pad(clock.getUTCMinutes(), token.length);
      case 's': return pad(clock.getUTCSeconds(), token.length);
      case 'f': return ticks.slice(0, token.length);
      case 'F': return ticks.slice(0, token.length).replace(/0+$/, '');
      case 't': return (hour < 12 ? 'AM' : 'PM').slice(0, token.length);
      case 'z': return token.length < 3 ? formatOffset(moment._offset()).slice(0, 3) : formatOffset(moment._offset());
      default: return moment._zone();
    }
  });
}

function name(names, index, base, length) {
  return length >= 4 ? names[index] : length === 3 ? names[index].slice(0, 3) : pad(index + base, length);
}
