// One chart: numbers as a line in its band of least and greatest, booleans as a lane.
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const lang = { en: "en-GB" }[document.documentElement.lang] ?? document.documentElement.lang; // as the tables say it
export const number = new Intl.NumberFormat(lang, { maximumFractionDigits: 2, signDisplay: "negative" });
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
const TONES = { door: "--edge", alarm: "--warn", call: "--bad" };

// Everything about time is said in the building's zone, wherever the browser is.
export function times(zone) {
  const format = (options) => {
    const made = new Intl.DateTimeFormat(lang, { timeZone: zone, ...options });
    return (time) => made.format(new Date(time * 1000));
  };
  const name = new Intl.DateTimeFormat(lang, { timeZone: zone, timeZoneName: "short" });
  return {
    clock: format({ hour: "2-digit", minute: "2-digit" }),
    seconds: format({ hour: "2-digit", minute: "2-digit", second: "2-digit" }),
    date: format({ day: "numeric", month: "numeric" }),
    month: format({ month: "short", year: "numeric" }),
    year: format({ year: "numeric" }),
    full: format({ dateStyle: "short", timeStyle: "medium" }),
    zone: (time) => name.formatToParts(new Date(time * 1000)).find((part) => part.type === "timeZoneName").value,
    local: (time) => window.uPlot.tzDate(new Date(time * 1000), zone),
  };
}

// Where clocks change within the axis each side says which time it is in.
function ticks(said) {
  return (_, splits, __, ___, step) => {
    const changes = splits.length && said.zone(splits[0]) !== said.zone(splits.at(-1));
    const isNew = (index, text) => index === 0 || text(splits[index]) !== text(splits[index - 1]);
    return splits.map((time, index) => {
      if (step >= 28 * 86400) return said.month(time);
      if (step >= 86400) return isNew(index, said.year) ? `${said.date(time)}\n${said.year(time)}` : said.date(time);
      let text = step < 60 ? said.seconds(time) : said.clock(time);
      if (changes && isNew(index, said.zone)) text += ` ${said.zone(time)}`;
      return isNew(index, said.date) ? `${text}\n${said.date(time)}` : text;
    });
  };
}

function frame(box, name, summary) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const title = document.createElement("strong");
  const chart = document.createElement("div");
  title.textContent = name;
  caption.append(title, ` ${summary}`);
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", `${name}: ${summary}`);
  figure.append(caption, chart);
  box.append(figure);
  return chart;
}

function lines(u, data) {
  const { ctx, bbox } = u;
  ctx.save();
  const line = (time, tone, width, dash) => {
    if (time < u.scales.x.min || time > u.scales.x.max) return;
    const x = Math.round(u.valToPos(time, "x", true));
    ctx.strokeStyle = css(tone);
    ctx.lineWidth = width * devicePixelRatio;
    ctx.setLineDash(dash.map((part) => part * devicePixelRatio));
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  };
  for (const [time, text] of data.marks) line(time, TONES[data.texts[text][0]], 1, data.texts[text][0] === "door" ? [2, 4] : []);
  if (data.at !== null) line(data.at, "--ink", 2, [6, 4]);
  ctx.restore();
}

function draw(chart, height, { data, said, words, range, selected, first }, options, values) {
  const axis = { stroke: css("--ink"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
  const plot = new window.uPlot({
    width: chart.clientWidth, height, tzDate: said.local,
    cursor: {
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => () => first() },
      sync: { key: "history", filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
    },
    scales: { x: { time: true, range: () => [range().min, range().max] }, ...options.scales },
    series: [{ label: words.time, value: (_, time) => (time === null ? "–" : said.full(time)) }, ...options.series],
    axes: [{ ...axis, values: ticks(said) }, { ...axis, size: 60, ...options.axis }],
    bands: options.bands,
    hooks: {
      destroy: [() => observer.disconnect()],
      draw: [(u) => lines(u, data)],
      setSelect: [(u) => {
        const { left, width } = u.select;
        if (width < 5) return;
        const [min, max] = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
        u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        selected(min, max);
      }],
    },
  }, values, chart);
  const observer = new ResizeObserver(() => plot.setSize({ width: chart.clientWidth, height }));
  observer.observe(chart);
  return plot;
}

// A value is valid until the next one: steps, never slopes, and nothing over a gap.
export function meter(box, context, { title, unit, summary, buckets, digits }) {
  const { words } = context;
  const fixed = new Intl.NumberFormat(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" });
  const chart = frame(box, unit ? `${title} (${unit})` : title, summary);
  const paths = window.uPlot.paths.stepped({ align: 1 });
  const shown = { value: (_, v) => (v == null ? "–" : fixed.format(v)), spanGaps: false, paths, points: { show: false } };
  const band = { ...shown, stroke: css("--edge"), width: 1 };
  return draw(chart, 260, context, {
    axis: { values: (_, splits) => splits.map((v) => number.format(v)) },
    bands: [{ series: [3, 1], fill: css("--info-back") }],
    series: [
      { ...band, label: words.min },
      { ...shown, label: unit || words.mean, stroke: css("--act"), width: 2 },
      { ...band, label: words.max },
    ],
  }, [0, 1, 2, 3].map((column) => buckets.map((b) => b[column])));
}

export function lane(box, context, { title, summary, on, off, changes }) {
  const { data } = context;
  const until = Math.min(data.to, data.now);
  const x = changes.map(([time]) => Math.max(time, data.from));
  const y = changes.map(([, level]) => (level === null ? null : Number(level)));
  if (x.length) { x.push(Math.max(x.at(-1), until)); y.push(y.at(-1)); }
  const chart = frame(box, title, summary);
  const text = (v) => (v == null ? "–" : v ? on : off);
  return draw(chart, 130, context, {
    scales: { y: { range: [-0.15, 1.15] } },
    axis: { splits: () => [0, 1], values: (_, splits) => splits.map(text) },
    series: [{ label: title, value: (_, v) => text(v), stroke: css("--act"), fill: css("--info-back"), width: 2,
      paths: window.uPlot.paths.stepped({ align: 1 }), points: { show: false }, spanGaps: false }],
  }, [x, y]);
}
