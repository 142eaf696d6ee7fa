// Draws /status.json, asked for once a second. Text goes into text nodes only.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const STALE = 3; // s without an answer, or without a look of the monitor
const SPANS = [60, 180]; // s that a chart shows while there is no more to show; then all that is kept
const EDGE = { left: 46, right: 6, top: 8, bottom: 20 };

const number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 }));
const count = (value) => (value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en"));
function span(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.0005) return "0 s";
  if (value < 0.9995) return `${value < 0.01 ? (value * 1000).toFixed(1) : Math.round(value * 1000)} ms`;
  if (value < 120) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  return value < 172800 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86400)} d`;
}
const mebibytes = (value) => (value === null ? "–" : `${Math.round(value / 1048576).toLocaleString("en")} MiB`);
const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");

const CHARTS = [
  { title: "Orders a minute", lines: [["orders_per_minute", "accepted"], ["refused_per_minute", "refused"]], show: number, least: 10 },
  { title: "Answer to an order", lines: [["p99", "p99"], ["p50", "p50"]], show: span, least: 0.02 },
  { title: "Age of the oldest record not done with", lines: [["lag_age", "orders"], ["ledger_lag_age", "ledger"]], show: span, least: 2 },
  { title: "Kitchen", lines: [["kitchen_lag", "orders and taps to be done"], ["unseen", "unseen tickets"]], show: number, least: 10 },
  { title: "At work", lines: [["waiting", "requests waiting"], ["in_flight", "commands in flight"]], show: number, least: 10 },
];

let told = null; // the newest answer
let points = {}; // name -> list, as in its history
let answered = performance.now();
let failure = "";

function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

function drawn(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}

// Changes what is there only where it differs: a reader, a selection or the focus is not thrown off once a second.
function fill(parent, nodes) {
  nodes.forEach((node, index) => {
    const old = parent.childNodes[index];
    if (!old) parent.append(node);
    else if (!old.isEqualNode(node)) old.replaceWith(node);
  });
  while (parent.childNodes.length > nodes.length) parent.lastChild.remove();
}

// Figures

function figure(name, big, more, bad) {
  return element("div", { className: bad ? "bad" : "" }, element("dt", {}, name), element("dd", { className: "big" }, big), element("dd", { className: "more" }, more));
}

function figures() {
  const now = told.figures;
  const audit = told.audit;
  const wrong = audit.lost + audit.duplicated + audit.differing;
  const old = audit.checked ? told.now - audit.checked : null;
  const { owned, all } = told.partitions;
  const kitchen = told.kitchen;
  const waits = Math.max(kitchen.orders_lag_age ?? 0, kitchen.lag_age ?? 0);
  return [
    figure("Orders a minute", number(now.orders_per_minute), `${number(now.refused_per_minute)} refused`, now.refused_per_minute > 0),
    figure("Answer, p99", span(now.p99), `p50 ${span(now.p50)}`, now.p99 > 0.25),
    figure("Lag of orders", count(now.lag), `oldest for ${span(now.lag_age)}`, now.lag_age > 5),
    figure("Lost / duplicated", `${count(audit.lost)} / ${count(audit.duplicated)}`, `of ${count(audit.acknowledged)}${old > 10 ? `, ${span(old)} ago` : ""}`, wrong > 0 || old > 60),
    figure("Not in Cassandra yet", count(audit.unwritten), `oldest for ${span(audit.unwritten_age)}`, audit.unwritten_age > 60),
    figure("Orders to make into tickets", count(kitchen.orders_lag), `${count(kitchen.lag)} to decide on, oldest for ${span(kitchen.open === null ? null : waits)}`, waits > 5),
    figure("Unseen tickets", count(kitchen.unseen), kitchen.unseen ? `oldest for ${span(kitchen.unseen_age)}` : `${count(kitchen.open)} open`, kitchen.unseen > 0),
    figure("Displays / pads", `${count(kitchen.displays)} / ${count(kitchen.pads)}`, all === null || kitchen.open === null ? "" : `kitchen owns ${kitchen.owned} / ${all}`, kitchen.displays === 0 && kitchen.open > 0),
    figure("Partitions owned", all === null ? count(owned) : `${owned} / ${all}`, `${count(now.waiting)} requests waiting`, owned < all),
  ];
}

// Charts

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

function seconds() {
  return SPANS.find((span) => span >= told.at - points.at[0]) || told.kept;
}

class Chart {
  constructor({ title, lines, show, least }) {
    Object.assign(this, { title, lines, show, least, picked: null });
    this.svg = drawn("svg", { role: "img", tabindex: 0 });
    this.keys = lines.map(([, name], index) => element("span", { className: index ? "key second" : "key" }, name));
    this.at = element("span", { className: "at" });
    this.node = element("figure", {}, element("figcaption", {}, element("strong", {}, title), ...this.keys, this.at), this.svg);
    this.svg.addEventListener("pointermove", (event) => this.pick(event.clientX - this.svg.getBoundingClientRect().left));
    this.svg.addEventListener("pointerleave", () => this.drop());
    this.svg.addEventListener("blur", () => this.drop());
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  get width() { return this.svg.clientWidth || 300; }
  get height() { return this.svg.clientHeight || 144; }
  x(at) { return this.width - EDGE.right - ((told.at - at) / seconds()) * (this.width - EDGE.left - EDGE.right); }
  y(value) { return this.height - EDGE.bottom - (value / this.top) * (this.height - EDGE.top - EDGE.bottom); }

  pick(x) {
    if (!told) return;
    const at = told.at - ((this.width - EDGE.right - x) / (this.width - EDGE.left - EDGE.right)) * seconds();
    this.picked = Math.min(Math.max(at, points.at[0]), told.at);
    this.draw();
  }

  drop() {
    this.picked = null;
    if (told) this.draw();
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -60, PageDown: 60 }[event.key];
    if (event.key === "Escape") this.drop();
    if (!step || !told) return;
    event.preventDefault();
    this.picked = Math.min(Math.max((this.picked ?? told.at) + step * told.every, points.at[0]), told.at);
    this.draw();
  }

  path(name) {
    let text = "";
    let down = false; // a gap in the figures is one in the line
    points[name].forEach((value, index) => {
      if (value !== null) text += `${down ? "L" : "M"}${this.x(points.at[index]).toFixed(1)} ${this.y(value).toFixed(1)}`;
      down = value !== null;
    });
    return text;
  }

  draw() {
    const most = this.lines.map(([name]) => points[name].reduce((high, value) => Math.max(high, value ?? 0), 0));
    this.top = nice(Math.max(this.least, ...most));
    const nodes = [];
    for (const value of [0, this.top / 2, this.top]) {
      const y = this.y(value);
      nodes.push(drawn("line", { class: "grid", x1: EDGE.left, x2: this.width - EDGE.right, y1: y, y2: y }));
      nodes.push(drawn("text", { x: EDGE.left - 6, y: y + 4, "text-anchor": "end" }, value ? this.show(value) : "0"));
    }
    ["start", "middle", "middle", "end"].forEach((place, third) => {
      const back = seconds() * (1 - third / 3);
      const text = back >= 60 && seconds() > 60 ? `−${Math.round(back / 60)} min` : `−${Math.round(back)} s`;
      nodes.push(drawn("text", { x: this.x(told.at - back), y: this.height - 4, "text-anchor": place }, third === 3 ? "now" : text));
    });
    this.lines.forEach(([name], index) => nodes.push(drawn("path", { class: index ? "second" : "first", d: this.path(name) })));
    if (this.picked !== null) {
      const x = this.x(this.picked);
      nodes.push(drawn("line", { class: "cursor", x1: x, x2: x, y1: EDGE.top, y2: this.height - EDGE.bottom }));
    }
    this.svg.replaceChildren(...nodes);
    this.legend(most);
  }

  legend(most) {
    const wanted = this.picked ?? told.at;
    let index = points.at.findIndex((at) => at >= wanted - told.every / 2);
    if (index < 0) index = points.at.length - 1;
    this.keys.forEach((key, line) => {
      const [name, label] = this.lines[line];
      key.textContent = `${label} ${this.show(points[name][index])}`;
    });
    this.at.textContent = this.picked === null ? "" : `at ${clock(points.at[index])}`;
    const said = this.lines.map(([name, label], line) => `${label} now ${this.show(points[name].at(-1))}, at most ${this.show(most[line])}`);
    this.svg.setAttribute("aria-label", `${this.title}: ${said.join("; ")}. Arrow keys move along.`);
  }
}

const charts = CHARTS.map((described) => new Chart(described));

// Processes and faults

function cell(name, text, kind = "") {
  const node = element("td", { className: `${kind}${text === "–" || text === "" ? " none" : ""}`.trim() }, text);
  node.dataset.name = name;
  return node;
}

function row(process) {
  const state = process.pid === null ? "✗ does not run" : process.ready ? "✓ ready" : "✗ not ready";
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, process.name),
    element("td", { className: `state ${process.ready ? "yes" : "no"}` }, state),
    cell("Partitions", process.partitions.join(", ") || "–"),
    cell("Lag", count(process.lag)),
    cell("Memory", mebibytes(process.memory)),
    cell("CPU", process.cpu === null ? "–" : `${Math.round(process.cpu * 100)} %`),
    cell("Runs for", span(process.age)),
    cell("Restarts", String(process.restarts)),
    cell("Last end", process.last_exit, "wide"),
  );
}

function fault({ at, process, what, over }) {
  return element(
    "li",
    {},
    element("time", { dateTime: new Date(at * 1000).toISOString() }, clock(at)),
    element("span", {}, process),
    element("span", { className: over ? "what over" : "what" }, `${over ? "✓" : "✗"} ${what}`),
  );
}

// All of it

// A screen reader tells of a banner that changed: the seconds, which always do, are not told.
function stale(seconds, why) {
  const since = element("span", { ariaHidden: "true" }, ` since ${Math.round(seconds)} s`);
  return element("li", {}, "Stale", since, `: ${why}`);
}

function banner() {
  const node = document.getElementById("banner");
  const silent = (performance.now() - answered) / 1000;
  const behind = told ? told.now - told.at + silent : silent;
  const lines = [];
  if (silent > STALE) lines.push(stale(silent, `the monitor does not answer${failure ? ` (${failure})` : ""}`));
  else if (told && behind > STALE + 2 * told.every) lines.push(stale(behind, "the monitor has not looked since"));
  if (told) lines.push(...told.problems.map((problem) => element("li", {}, problem)));
  const bad = lines.length > 0;
  const text = bad ? element("ul", {}, ...lines) : document.createTextNode("✓ All is well");
  node.hidden = !told && !bad;
  node.className = bad ? "bad" : "";
  fill(node, [text]);
}

function keep(history) {
  for (const [name, values] of Object.entries(history)) points[name] = (points[name] || []).concat(values);
  const gone = points.at.findIndex((at) => at >= told.at - told.kept);
  if (gone > 0) for (const name of Object.keys(points)) points[name] = points[name].slice(gone);
}

function show() {
  document.title = `${told.problems.length ? "✗" : "✓"} ${told.name} status`;
  document.getElementById("title").textContent = `${told.name} status`;
  document.getElementById("when").textContent = `as of ${clock(told.at)}`;
  fill(document.getElementById("figures"), figures());
  for (const chart of charts) chart.draw();
  fill(document.getElementById("processes"), told.processes.map(row));
  fill(document.getElementById("faults"), told.faults.map(fault));
  document.getElementById("no-faults").hidden = told.faults.length > 0;
}

async function ask() {
  try {
    const answer = await fetch(`/status.json?since=${points.at?.at(-1) ?? 0}`, { signal: AbortSignal.timeout(3000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const news = await answer.json();
    if (told && news.started !== told.started) { // another monitor, with a history of its own
      points = {};
      told = null;
      return;
    }
    told = news;
    keep(news.history);
    answered = performance.now();
    failure = "";
    if (points.at.length) show();
  } catch (error) {
    failure = error.name === "TimeoutError" ? "no answer in time" : error.message;
  }
}

async function loop() {
  await ask();
  banner();
  setTimeout(loop, told && !failure ? Math.max(told.every * 1000, 250) : 1000);
}

document.getElementById("charts").append(...charts.map((chart) => chart.node));
addEventListener("resize", () => told && show());
setInterval(banner, 1000);
loop();
