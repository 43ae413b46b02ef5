// Draws the charts and keeps the page up to date. Without it, the page is complete as tables.
"use strict";

const units = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]];

/** Formats a number for an axis: 1.5 M. */
function compact(value) {
  const unit = units.find(([size]) => Math.abs(value) >= size);
  return unit ? `${+(value / unit[0]).toFixed(2)} ${unit[1]}` : String(value);
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const seriesColor = ({ is_others }, index) => color(is_others ? "--series-other" : `--series-${index % 8 + 1}`);

/* Charts */

let charts = [];

function drawCharts() {
  charts.forEach((chart) => chart.destroy());
  charts = [...document.querySelectorAll("[data-chart]")].map(drawChart).filter(Boolean);
}

/** Draws stacked bars: each series from the top of the one below. */
function drawChart(element) {
  const data = JSON.parse(element.querySelector("script").textContent);
  if (data.labels.length === 0) return null;
  element.querySelectorAll(":scope > :not(script)").forEach((child) => child.remove());
  element.classList.add("drawn");
  const steps = data.labels.map((_, index) => index);
  const tops = [];
  data.series.forEach(({ values }) => {
    const below = tops.at(-1) ?? steps.map(() => 0);
    tops.push(values.map((value, index) => below[index] + value));
  });
  const colors = data.series.map(seriesColor);
  // The uppermost first: lower ones are drawn over it.
  const drawn = tops.map((top, index) => ({ top, color: colors[index] })).reverse();
  const line = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const options = {
    width: element.clientWidth,
    height: element.clientHeight,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { points: { show: false }, y: false, drag: { x: true, y: false, setScale: false } },
    scales: {
      x: { time: false, range: () => [-0.6, steps.length - 0.4] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] },
    },
    axes: [
      {
        ...line, font, grid: { show: false }, space: 76, size: 30,
        incrs: [1, 2, 3, 4, 6, 7, 12, 14, 24, 28, 48, 72, 96],
        values: (_, splits) => splits.map((at) => Number.isInteger(at) ? data.labels[at]?.replace(/^\d{4}-(?=\d\d-)/, "") ?? "" : ""),
      },
      { ...line, font, size: 62, values: (_, splits) => splits.map((value) => (data.is_money ? "$" : "") + compact(value)) },
    ],
    series: [{}, ...drawn.map(({ color }) => ({
      fill: color, stroke: color, width: 0, points: { show: false },
      paths: uPlot.paths.bars({ size: [0.82, 44], radius: drawn.length === 1 ? 0.12 : 0 }),
    }))],
    hooks: { setCursor: [(plot) => showTooltip(plot, element, data, colors)], setSelect: [(plot) => zoom(plot, element, data)] },
  };
  const plot = new uPlot(options, [steps, ...drawn.map(({ top }) => top)], element);
  if (data.series.length > 1) element.after(legend(data, colors));
  element.onkeydown = (event) => moveCursor(event, plot, steps.length);
  return plot;
}

function legend(data, colors) {
  const list = document.createElement("div");
  list.className = "legend";
  list.ariaHidden = "true";
  data.series.forEach(({ name }, index) => list.append(labelled(colors[index], name)));
  return list;
}

function labelled(keyColor, name) {
  const label = document.createElement("span");
  const key = document.createElement("span");
  key.className = "key";
  key.style.background = keyColor;
  label.append(key, name);
  return label;
}

function showTooltip(plot, element, data, colors) {
  element.querySelector(".tooltip")?.remove();
  const { idx, left } = plot.cursor;
  if (idx == null || left < 0) return;
  const tooltip = document.createElement("div");
  tooltip.className = "tooltip";
  const title = document.createElement("b");
  title.textContent = data.labels[idx];
  tooltip.append(title);
  const rows = data.series.map(({ name, shown }, index) => ({ name, text: shown[idx], color: colors[index] }))
    .filter(({ text }) => text).reverse();
  rows.forEach((row) => tooltip.append(tooltipRow(labelled(row.color, row.name), row.text)));
  if (rows.length !== 1) tooltip.append(tooltipRow("Total", data.totals[idx]));
  element.append(tooltip);
  const at = plot.valToPos(idx, "x") + plot.over.offsetLeft;
  const isRight = at > element.clientWidth / 2;
  tooltip.style.left = isRight ? "" : `${at + 14}px`;
  tooltip.style.right = isRight ? `${element.clientWidth - at + 14}px` : "";
  tooltip.style.top = "8px";
}

function tooltipRow(name, text) {
  const row = document.createElement("div");
  const [label, value] = [document.createElement("span"), document.createElement("span")];
  label.append(name);
  value.textContent = text;
  row.append(label, value);
  return row;
}

function moveCursor(event, plot, steps) {
  const moves = { ArrowLeft: -1, ArrowRight: 1 };
  if (event.key === "Escape") return plot.setCursor({ left: -10, top: -10 });
  if (!(event.key in moves)) return;
  event.preventDefault();
  const index = Math.min(Math.max((plot.cursor.idx ?? (moves[event.key] > 0 ? -1 : steps)) + moves[event.key], 0), steps - 1);
  plot.setCursor({ left: plot.valToPos(index, "x"), top: 10 });
}

/** Narrows the page to the selected steps. */
function zoom(plot, element, data) {
  const { left, width } = plot.select;
  if (width < 8) return;
  const last = data.starts.length - 1;
  const index = (at) => Math.min(Math.max(Math.round(plot.posToVal(at, "x")), 0), last);
  const [first, final] = [index(left), index(left + width)];
  const url = new URL(element.dataset.here, location.href);
  url.searchParams.delete("range");
  url.searchParams.set("from", data.starts[first]);
  url.searchParams.set("to", data.starts[final + 1] ?? data.end);
  location.assign(url);
}

/* Relative times */

const relative = new Intl.RelativeTimeFormat("en", { style: "short" });
const ages = [[86400 * 365, "year"], [86400 * 30, "month"], [86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

function showAges() {
  document.querySelectorAll("time[data-relative]").forEach((element) => {
    const seconds = (Date.now() - Date.parse(element.dateTime)) / 1000;
    const [size, unit] = ages.find(([size]) => Math.abs(seconds) >= size) ?? [1, "second"];
    element.textContent = relative.format(-Math.round(seconds / size), unit);
  });
}

/* Suggestions of the filter form */

/** Replaces the values that the page shows anyway by the most used ones of the selected dimension. */
async function suggest() {
  const [list, select] = [document.getElementById("filter-values"), document.querySelector("#filter [name=filter]")];
  const dimension = select?.value;
  if (!list || list.dataset.of === dimension) return;
  if (list.dataset.of) list.replaceChildren();
  list.dataset.of = dimension;
  const url = new URL(list.dataset.values, location.href);
  url.searchParams.set("by", dimension);
  try {
    const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(20000) });
    if (!response.ok) throw new Error(response.statusText);
    const received = new DOMParser().parseFromString(await response.text(), "text/html");
    if (list.dataset.of === dimension) list.replaceChildren(...received.querySelectorAll("option"));
  } catch {
    // Asked for again when the form is next used.
    if (list.dataset.of === dimension) delete list.dataset.of;
  }
}

document.addEventListener("toggle", ({ target }) => { if (target.id === "filter" && target.open) suggest(); }, true);
document.addEventListener("change", ({ target }) => { if (target.matches("#filter [name=filter]")) suggest(); });
document.addEventListener("focusin", ({ target }) => { if (target.matches("#filter [name=value]")) suggest(); });

/* Updates */

let tag = null;
/** The content as it was received, before charts were drawn. */
let shown = document.getElementById("content").innerHTML;
let updatedAt = Date.now();
let isUpdating = false;

/** Returns the controls if something is typed or chosen in them, which an update would discard. */
function controlsInUse() {
  return document.activeElement?.matches(":is(input, select)") ? document.activeElement.closest("#content > .controls") : null;
}

/** Returns whether a part of a chart is being selected. */
function isSelecting() {
  return document.querySelector(".u-over:active") !== null;
}

/** Fetches this page and shows what changed. Keeps what is open, the focus and the scroll positions. */
async function update() {
  if (document.hidden || isUpdating || isSelecting()) return;
  isUpdating = true;
  try {
    const headers = tag ? { "if-none-match": tag } : {};
    const response = await fetch(location.href, { headers, cache: "no-store", signal: AbortSignal.timeout(20000) });
    if (response.status === 200 || response.headers.get("content-type")?.startsWith("text/html")) {
      const received = new DOMParser().parseFromString(await response.text(), "text/html");
      tag = replaceContent(received) ? response.headers.get("etag") : null;
    } else if (response.status !== 304) {
      throw new Error(response.statusText);
    }
    updatedAt = Date.now();
    showLive(response.ok || response.status === 304);
  } catch {
    showLive(false);
  } finally {
    isUpdating = false;
  }
}

/** Returns whether the received content is shown from now on. */
function replaceContent(received) {
  const [content, next] = [document.getElementById("content"), received.getElementById("content")];
  const health = received.getElementById("health");
  if (health && health.innerHTML !== document.getElementById("health").innerHTML) {
    document.getElementById("health").replaceChildren(...health.childNodes);
  }
  if (next?.innerHTML === shown) return true;
  const kept = controlsInUse();
  const counterpart = next?.querySelector(":scope > .controls");
  if (!next || isSelecting() || (kept && !counterpart)) return false;
  const open = [...content.querySelectorAll("details[id]")].map(({ id, open }) => [id, open]);
  const focused = !kept && content.contains(document.activeElement) ? pathOf(document.activeElement, content) : null;
  const scrolled = [...content.querySelectorAll(".scroll")].map(({ scrollLeft, scrollTop }) => [scrollLeft, scrollTop]);
  const fields = "#filter [name]:not([type=hidden])";
  const entered = [...content.querySelectorAll(fields)].map(({ name, value }) => [name, value]);
  const suggested = document.getElementById("filter-values");
  shown = next.innerHTML;
  if (kept) replaceAround(kept, content, counterpart);
  else content.replaceChildren(...next.childNodes);
  const values = document.getElementById("filter-values");
  if (suggested?.dataset.of && values !== suggested) values?.replaceWith(suggested);
  const replaced = [...content.querySelectorAll(fields)];
  entered.forEach(([name, value]) => { const field = replaced.find((field) => field.name === name); if (field) field.value = value; });
  open.forEach(([id, isOpen]) => { const details = document.getElementById(id); if (details) details.open = isOpen; });
  drawCharts();
  showAges();
  content.querySelectorAll(".scroll").forEach((element, index) => element.scrollTo(...(scrolled[index] ?? [0, 0])));
  focused?.reduce((node, index) => node?.children[index], content)?.focus({ preventScroll: true });
  return true;
}

/** Replaces all content but the kept part, which would lose the focus if it were moved. */
function replaceAround(kept, content, counterpart) {
  const nodes = [...counterpart.parentElement.childNodes];
  const at = nodes.indexOf(counterpart);
  [...content.childNodes].filter((node) => node !== kept).forEach((node) => node.remove());
  kept.before(...nodes.slice(0, at));
  kept.after(...nodes.slice(at + 1));
  const [age, newAge] = [kept, counterpart].map((controls) => controls.querySelector(".as-of"));
  if (newAge) age?.replaceWith(newAge);
}

function pathOf(node, root) {
  const path = [];
  for (; node !== root; node = node.parentElement) path.unshift([...node.parentElement.children].indexOf(node));
  return path;
}

function showLive(isLive) {
  const live = document.getElementById("live");
  // The page is live, its data may not be.
  const isOld = isLive && document.getElementById("stale") !== null;
  const current = isOld ? "Not synchronized" : "Live";
  const text = isLive ? current : `Not up to date, as of ${new Date(updatedAt).toLocaleTimeString()}`;
  live.hidden = false;
  live.classList.toggle("stale", !isLive);
  live.classList.toggle("old", isOld);
  if (live.textContent !== text) live.textContent = text;
}

/** A page that could not be made says so in an alert. */
const hasContent = !document.querySelector("main > [role=alert]");

drawCharts();
showAges();
showLive(hasContent);
setInterval(update, Number(document.body.dataset.refresh));
setInterval(showAges, 30000);
document.addEventListener("visibilitychange", update);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);
new ResizeObserver(() => charts.forEach((chart) => {
  const { clientWidth: width, clientHeight: height } = chart.root.parentElement;
  if (width !== chart.width || height !== chart.height) chart.setSize({ width, height });
})).observe(document.body);
