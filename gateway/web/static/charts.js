// The charts: meters as a line in its band, states as a lane of bars, counts as bars. All have the
// same x axis and the same edges, so that one cursor goes through them.
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const lang = { en: "en-GB" }[document.documentElement.lang] ?? document.documentElement.lang; // as the tables say it
export const number = new Intl.NumberFormat(lang, { maximumFractionDigits: 2, signDisplay: "negative" });
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
const fixed = (digits) => new Intl.NumberFormat(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" });
export const RIGHT = 18;
export const left = () => (innerWidth < 600 ? 44 : 56);
const FAMILY = "system-ui, sans-serif";

// Everything about time is said in the building's zone, wherever the browser is.
export function times(zone) {
  const format = (options) => {
    const made = new Intl.DateTimeFormat(lang, { timeZone: zone, ...options });
    return (time) => made.format(new Date(time * 1000));
  };
  const name = new Intl.DateTimeFormat(lang, { timeZone: zone, timeZoneName: "short" });
  const minute = format({ weekday: "short", day: "numeric", month: "numeric", hour: "2-digit", minute: "2-digit" });
  const second = format({ weekday: "short", day: "numeric", month: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = format({ weekday: "short", day: "numeric", month: "numeric" });
  const bare = (text) => text.replace(/^(\p{L}+)[.,]+/u, "$1");
  return {
    clock: format({ hour: "2-digit", minute: "2-digit" }),
    seconds: format({ hour: "2-digit", minute: "2-digit", second: "2-digit" }),
    date: format({ day: "numeric", month: "numeric" }),
    day: (time) => bare(day(time)),
    month: format({ month: "short", year: "numeric" }),
    year: format({ year: "numeric" }),
    full: format({ dateStyle: "short", timeStyle: "medium" }),
    short: (time) => bare(Math.round(time) % 60 ? second(time) : minute(time)),
    zone: (time) => name.formatToParts(new Date(time * 1000)).find((part) => part.type === "timeZoneName").value,
    local: (time) => window.uPlot.tzDate(new Date(time * 1000), zone),
  };
}

// Where clocks change within the axis each side says which time it is in. A label that the edge
// would cut off is left out.
function ticks(said) {
  return (u, splits, __, ___, step) => {
    const changes = splits.length && said.zone(splits[0]) !== said.zone(splits.at(-1));
    const isNew = (index, text) => index === 0 || text(splits[index]) !== text(splits[index - 1]);
    const room = u.bbox.width / devicePixelRatio + RIGHT;
    return splits.map((time, index) => {
      const label = () => {
        if (step >= 28 * 86400) return said.month(time);
        if (step >= 86400) return isNew(index, said.year) ? `${said.date(time)}\n${said.year(time)}` : said.date(time);
        let text = step < 60 ? said.seconds(time) : said.clock(time);
        if (changes && isNew(index, said.zone)) text += ` ${said.zone(time)}`;
        const crowded = index === 0 && step < 86400 && splits.length > 1 && isNew(1, said.date) && u.valToPos(splits[1], "x") - u.valToPos(time, "x") < 76;
        return isNew(index, said.date) && !crowded ? `${text}\n${innerWidth < 600 ? said.date(time) : said.day(time)}` : text;
      };
      const text = label();
      const longest = Math.max(...text.split("\n").map((line) => line.length));
      return u.bbox.width && u.valToPos(time, "x") + longest * 3.3 > room ? "" : text;
    });
  };
}

export function lasting(seconds, day) {
  let rest = Math.max(0, Math.round(seconds));
  const parts = [[86400, day], [3600, "h"], [60, "min"], [1, "s"]].map(([size, unit]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return [count, unit];
  });
  const from = parts.findIndex(([count]) => count);
  return from < 0 ? "0\u202fs" : parts.slice(from, from + 2).filter(([count]) => count).map(([count, unit]) => `${count}\u202f${unit}`).join(" ");
}

// The last of the sorted rows that begins at or before this time.
function before(rows, time) {
  let low = 0, high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle][0] <= time) low = middle + 1;
    else high = middle;
  }
  return rows[low - 1];
}

function plot(chart, context, { height, axis, last = true, scales, series, bands, under, over, data, read }) {
  const { said, range, selected, first, hover } = context;
  const line = { stroke: css("--line"), width: 1 };
  const font = `12px ${FAMILY}`;
  const made = new window.uPlot({
    width: chart.clientWidth, height, tzDate: said.local, legend: { show: false }, padding: [8, RIGHT, last ? 0 : 8, 0],
    cursor: {
      y: false, drag: { x: true, y: false, setScale: false, dist: 5 }, points: { show: false },
      bind: { dblclick: () => () => first() },
      sync: { key: "history", filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
    },
    scales: { x: { time: true, range: () => [range().min, range().max] }, ...scales },
    series: [{}, ...series],
    axes: [
      { show: last, stroke: css("--soft"), font, grid: line, ticks: line, size: 42, values: ticks(said), space: (u, _, min, max) => (max - min > 40 * 86400 ? 78 : 56) },
      { stroke: css("--soft"), font, grid: line, ticks: { show: false }, gap: 4, size: left(), ...axis },
    ],
    bands,
    hooks: {
      destroy: [() => observer.disconnect()],
      drawAxes: [(u) => within(u, under)],
      draw: [(u) => within(u, (...all) => { over?.(...all); instant(u, context.data.at); })],
      setCursor: [(u) => hover(u)],
      setSelect: [(u) => {
        const { left: from, width } = u.select;
        if (width < 5) return;
        const [min, max] = [u.posToVal(from, "x"), u.posToVal(from + width, "x")];
        u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        selected(min, max);
      }],
    },
  }, data, chart);
  made.read = read;
  const observer = new ResizeObserver(() => {
    if (chart.clientWidth !== made.width) made.setSize({ width: chart.clientWidth, height });
  });
  observer.observe(chart);
  return made;
}

// Draw within the plot, in pixels of the page.
function within(u, draw) {
  if (!draw) return;
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const ratio = devicePixelRatio;
  ctx.scale(ratio, ratio);
  const box = { left: bbox.left / ratio, top: bbox.top / ratio, width: bbox.width / ratio, height: bbox.height / ratio };
  draw(u, ctx, (time) => u.valToPos(time, "x", true) / ratio, box);
  ctx.restore();
}

function instant(u, at) {
  if (at === null) return;
  within(u, (_, ctx, x, box) => {
    Object.assign(ctx, { strokeStyle: css("--ink"), lineWidth: 2 });
    ctx.setLineDash([6, 4]);
    ctx.strokeRect(x(at), box.top - 2, 0, box.height + 4);
  });
}

// A value is valid until the next one: steps, never slopes, and nothing over a gap.
export function meter(chart, context, { unit, digits, buckets, before: earlier = [], limits, least }) {
  const { words, said } = context;
  const text = (value) => (value == null ? "–" : fixed(digits).format(value));
  const known = buckets.filter((row) => row[2] !== null);
  const values = [...known.flatMap((row) => [row[1], row[3]]), ...earlier.map((row) => row[1]).filter((value) => value !== null)];
  let [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  const span = Math.max(high - low, least, 1e-9);
  for (const [limit] of limits) if (limit > low - span && limit < high + span) [low, high] = [Math.min(low, limit), Math.max(high, limit)];
  const spare = Math.max(0, (least - (high - low)) / 2);
  const edge = 0.08 * Math.max(high - low, least, 1e-9) + spare;
  const paths = window.uPlot.paths.stepped({ align: 1 });
  const shown = { spanGaps: false, paths, points: { show: false } };
  const step = (ctx, rows, x, y) => {
    ctx.beginPath();
    let drawn = null;
    for (const [index, [time, value]] of rows.entries()) {
      if (drawn !== null) ctx.lineTo(x(time), y(drawn));
      if (value !== null && drawn === null) ctx.moveTo(x(time), y(value));
      else if (value !== null) ctx.lineTo(x(time), y(value));
      drawn = index === rows.length - 1 ? null : value;
    }
    ctx.stroke();
  };
  return plot(chart, context, {
    height: innerWidth < 960 ? 200 : 230,
    axis: { space: 34, values: (_, splits) => {
      if (!values.length) return [];
      const between = splits.length > 1 ? splits[1] - splits[0] : 10 ** -digits;
      const places = [0, 1, 2, 3].find((count) => Math.abs(between * 10 ** count - Math.round(between * 10 ** count)) < 1e-6) ?? 3;
      return splits.map((value) => fixed(places).format(value));
    } },
    scales: { y: { range: () => [low - edge, high + edge] } },
    bands: [{ series: [1, 2], fill: css("--info-back") }], // drawn with its series, so below the mean
    series: [{ ...shown }, { ...shown }, { ...shown, stroke: css("--act"), width: 2 }],
    data: [0, 3, 1, 2].map((column) => buckets.map((row) => row[column])),
    under: (u, ctx, x) => {
      const y = (value) => u.valToPos(value, "y", true) / devicePixelRatio;
      if (!earlier.length) return;
      Object.assign(ctx, { strokeStyle: css("--edge"), globalAlpha: 0.7, lineWidth: 1.5 });
      step(ctx, earlier, x, y);
    },
    over: (u, ctx, x, box) => {
      const y = (value) => u.valToPos(value, "y", true) / devicePixelRatio;
      for (const [index, row] of buckets.entries()) { // a value alone would hardly be seen
        const [until, prior] = [buckets[index + 1], buckets[index - 1]];
        if (row[2] === null || (prior && prior[2] !== null) || (until && until[2] !== null && index < buckets.length - 2)) continue;
        if (until && x(until[0]) - x(row[0]) > 4) continue;
        ctx.fillStyle = css("--act");
        ctx.beginPath();
        ctx.arc(x(row[0]), y(row[2]), 3, 0, 7);
        ctx.fill();
      }
      for (const [limit, name, above] of limits) {
        if (limit < low - edge || limit > high + edge) continue;
        Object.assign(ctx, { strokeStyle: css("--warn"), fillStyle: css("--warn"), lineWidth: 1.5, font: `600 12px ${FAMILY}`, textAlign: "left" });
        ctx.setLineDash([6, 4]);
        ctx.beginPath();
        ctx.moveTo(box.left, y(limit));
        ctx.lineTo(box.left + box.width, y(limit));
        ctx.stroke();
        const label = `${name} (${above ? words.above : words.below} ${text(limit)})`;
        const fits = above ? y(limit) - 6 > box.top + 10 : y(limit) + 16 > box.top + box.height;
        ctx.setLineDash([]);
        Object.assign(ctx, { strokeStyle: css("--card"), lineWidth: 3, lineJoin: "round" });
        ctx.strokeText(label, box.left + 6, fits ? y(limit) - 6 : y(limit) + 14, box.width - 12);
        ctx.fillText(label, box.left + 6, fits ? y(limit) - 6 : y(limit) + 14, box.width - 12);
      }
    },
    read: (time) => {
      const row = before(buckets, time);
      const past = before(earlier, time);
      const lines = [];
      if (row && row[2] !== null && row[1] !== row[3]) lines.push(`${words.min} ${text(row[1])} · ${words.max} ${text(row[3])}`);
      if (past) lines.push(`${words.before}: ${text(past[1])} ${unit}`);
      return { now: row && row[2] !== null ? `${text(row[2])}\u202f${unit}` : "–", lines, time: said.short(row ? row[0] : time) };
    },
  });
}

// How a state is coloured: its bar, its edge and its word.
const TONES = {
  off: ["--page", "--line", "--soft"], info: ["--act", "--act", "--act-ink"], good: ["--good-back", "--good", "--good"],
  warn: ["--warn-back", "--warn", "--warn"], bad: ["--call", "--call", "--call-ink"], night: ["--soft", "--soft", "--card"],
  test: ["--info-back", "--info", "--info"],
};

export function lane(chart, context, { spans, slots = [], busy = "", words: names, tones, resting }, last) {
  const { data, words, said } = context;
  const height = 40;
  const until = Math.min(data.to, data.now);
  const tone = (state) => (TONES[tones[state]] ?? TONES.off).map(css);
  const bar = (ctx, from, to, box, [back, edge]) => {
    const width = Math.max(to - from, 1.5);
    ctx.fillStyle = back;
    ctx.fillRect(from, box.top, width, box.height);
    if (edge === back || width < 4) return;
    Object.assign(ctx, { strokeStyle: edge, lineWidth: 1 });
    ctx.strokeRect(from + 0.5, box.top + 0.5, width - 1, box.height - 1);
  };
  return plot(chart, context, {
    height: last ? height + 42 : height, last, axis: { values: () => [], grid: { show: false } },
    scales: { y: { range: [0, 1] } }, series: [{ show: true, points: { show: false }, paths: () => null }], data: [[data.from, data.to], [null, null]],
    over: (u, ctx, x, box) => {
      const [from, to] = [x(data.from), x(until)];
      Object.assign(ctx, { strokeStyle: css("--line"), lineWidth: 1 });
      ctx.save(); // what is not known is hatched
      ctx.beginPath();
      ctx.rect(from, box.top, Math.max(0, to - from), box.height);
      ctx.clip();
      ctx.beginPath();
      for (let at = from - box.height; at < to; at += 6) { ctx.moveTo(at, box.top + box.height); ctx.lineTo(at + box.height, box.top); }
      ctx.stroke();
      ctx.restore();
      for (const [start, end, share] of slots) {
        bar(ctx, x(start), x(end) + 0.5, box, [tone(resting)[0], tone(resting)[0]]);
        const part = share && Math.max(share * box.height, 2);
        ctx.fillStyle = tone(busy)[0];
        ctx.fillRect(x(start), box.top + box.height - part, Math.max(x(end) - x(start), 1), part);
      }
      const ordered = [...spans].sort((a, b) => (a[2] === resting ? 0 : 1) - (b[2] === resting ? 0 : 1));
      for (const [start, end, state] of ordered) {
        const [back, edge, ink] = tone(state);
        bar(ctx, x(start), x(end), box, [back, edge]);
        const [begin, finish] = [Math.max(x(start), box.left), Math.min(x(end), box.left + box.width)];
        Object.assign(ctx, { fillStyle: ink, font: `600 12px ${FAMILY}`, textAlign: "left", textBaseline: "middle" });
        const name = names[state] ?? state;
        if (ctx.measureText(name).width + 12 < finish - begin) ctx.fillText(name, begin + 6, box.top + box.height / 2 + 1);
      }
    },
    read: (time) => {
      const slot = before(slots, time);
      if (slot && time < slot[1]) {
        const share = number.format(Math.round(slot[2] * 1000) / 10);
        return { now: `${share}\u202f%`, lines: [fill(words.lane_share, { share, state: names[busy], count: number.format(slot[3]) })], time: said.short(slot[0]) };
      }
      const span = before(spans, time);
      if (!span || time > span[1]) return { now: "–", lines: [], time: said.short(time) };
      const [start, end, state] = span;
      const duration = lasting(end - start, words.unit_day);
      return { now: names[state] ?? state, lines: [fill(words.lasted, { start: said.short(start), end: said.short(end), duration })], time: "" };
    },
  });
}

export function bars(chart, context, { bins, before: earlier }) {
  const { data, words, said } = context;
  const most = Math.max(3, ...bins.map((bin) => bin[2]), ...earlier);
  const gap = (from, to) => Math.min(4, (to - from) * 0.15);
  return plot(chart, context, {
    height: innerWidth < 960 ? 150 : 170,
    axis: { space: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000], values: (_, splits) => splits.map((value) => number.format(value)) },
    scales: { y: { range: [0, most * 1.08] } }, series: [{ points: { show: false }, paths: () => null }], data: [[data.from, data.to], [null, null]],
    under: (u, ctx, x, box) => {
      const y = (value) => u.valToPos(value, "y", true) / devicePixelRatio;
      const foot = box.top + box.height;
      for (const [index, [start, end, count]] of bins.entries()) {
        const [from, to] = [x(start), x(end)];
        if (count) {
          ctx.fillStyle = css("--act");
          ctx.fillRect(from + gap(from, to) / 2, y(count), Math.max(1, to - from - gap(from, to)), foot - y(count));
        }
        if (earlier[index] === undefined) continue;
        Object.assign(ctx, { strokeStyle: css("--edge"), lineWidth: 2 });
        ctx.beginPath();
        ctx.moveTo(from, y(earlier[index]));
        ctx.lineTo(to, y(earlier[index]));
        ctx.stroke();
      }
    },
    read: (time) => {
      const index = bins.indexOf(before(bins, time));
      const bin = bins[index];
      if (!bin || time >= bin[1]) return { now: "–", lines: [], time: said.short(time) };
      const lines = earlier[index] === undefined ? [] : [`${words.before}: ${number.format(earlier[index])}`];
      const days = (bin[1] - bin[0]) / 86400;
      const when = days < 0.9 ? `${said.short(bin[0])}–${said.clock(bin[1])}` : days < 1.1 ? said.day(bin[0]) : `${said.date(bin[0])} – ${said.date(bin[1] - 3600)}`;
      return { now: number.format(bin[2]), lines, time: when };
    },
  });
}
