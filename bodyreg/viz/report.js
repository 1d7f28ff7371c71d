"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const measures = Object.fromEntries(data.measures.map((measure) => [measure.key, measure]));
const COLUMNS = { picture: "picture", evidence: "evidence", before: "before", fit: "fit", side: "from the side" };

// Whatever came with the data enters the page here, as text.
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

function number(value, unit = "") {
  if (value == null) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  const size = Math.abs(value);
  const text = size === 0 ? "0" : size < 0.01 ? value.toExponential(2) : size < 10 ? value.toFixed(2) : size < 100 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
  return unit ? `${text}\u2009${unit}` : text;
}

const better = (measure, a, b) => (measure.best ? b - a : a - b);

// ---- light and dark

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  drawCharts();
  if (scene.person) scene.draw();
}

// ---- in short

const SHORT = ["points", "keypoints", "pixel", "vertex", "mpjpe", "pa_mpjpe"]; // of many, those in tiles and on cards

function tile(value, unit, words, more, bad) {
  return element("div", { class: bad ? "tile bad" : "tile" }, element("b", {}, value, element("small", {}, unit)), element("span", {}, words), element("em", {}, more));
}

function drawTiles() {
  const all = data.measures.filter((m) => SHORT.includes(m.key) || m.key === data.order);
  const tiles = all.map((m) => tile(number(m.mean), m.unit, m.title, `mean; median ${number(m.median)}`));
  const faults = data.faults.map((f) => tile(f.people.toLocaleString("en"), `of ${data.total.toLocaleString("en")}`, f.title, f.what, f.people > 0));
  find("tiles").replaceChildren(...tiles, ...faults);
}

// ---- charts

function plain(more) {
  const faint = cssColour("faint"), line = cssColour("line");
  const axis = { gridcolor: line, zeroline: false, linecolor: line, tickcolor: line, tickfont: { size: 11 } };
  const merge = (own) => ({ ...axis, ...own });
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: faint, family: "system-ui, sans-serif", size: 12 }, margin: { l: 34, r: 8, t: 8, b: 34 },
    showlegend: false, bargap: 0.06, hovermode: "closest", ...more, xaxis: merge(more.xaxis), yaxis: merge(more.yaxis),
  };
}

const CONFIG = { displayModeBar: false, responsive: true };

function drawHistogram(measure) {
  const { edges, counts } = measure, log = measure.logarithmic;
  const at = (x) => (log ? Math.log10(x) : x);
  const middle = counts.map((_, b) => (at(edges[b]) + at(edges[b + 1])) / 2), width = at(edges[1]) - at(edges[0]);
  const hover = counts.map((n, b) => `${number(edges[b])} to ${number(edges[b + 1], measure.unit)}: ${n.toLocaleString("en")} people`);
  const shown = data.people.filter((p) => p.numbers[measure.key] != null);
  const traces = [
    { type: "bar", x: middle, y: counts, width: counts.map(() => width * 0.94), marker: { color: cssColour("fit") }, hovertext: hover, hoverinfo: "text" },
    {
      type: "scatter", mode: "markers", x: shown.map((p) => at(p.numbers[measure.key])), y: shown.map(() => 0), cliponaxis: false, hoverinfo: "text", hovertext: shown.map((p) => `person ${p.id}: ${number(p.numbers[measure.key], measure.unit)}`),
      marker: { symbol: "line-ns-open", size: 9, color: cssColour("truth"), line: { width: 1.5 } }, customdata: shown.map((p) => p.id),
    },
  ];
  const median = at(measure.median);
  const layout = plain({
    shapes: [{ type: "line", x0: median, x1: median, y0: 0, y1: 1, yref: "paper", line: { color: cssColour("ink"), width: 1, dash: "dot" } }],
    xaxis: { showgrid: false, ...(log ? logTicks(edges) : {}) }, yaxis: { rangemode: "tozero", nticks: 4 },
  });
  const node = find(`histogram-${measure.key}`);
  return Plotly.react(node, traces, layout, CONFIG).then(() => openOnClick(node));
}

// Powers of ten, and twice and five times them, as far as they are in range.
function logTicks(edges) {
  const [low, high] = [edges[0], edges[edges.length - 1]], values = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const digit of [1, 2, 5]) if (digit * 10 ** power >= low && digit * 10 ** power <= high) values.push(digit * 10 ** power);
  }
  return { tickmode: "array", tickvals: values.map(Math.log10), ticktext: values.map((v) => String(Number(v.toPrecision(2)))) };
}

function openOnClick(node) {
  node.removeAllListeners("plotly_click");
  node.on("plotly_click", (event) => {
    const id = event.points[0].customdata ?? event.points[0].data.customdata;
    if (id != null) location.hash = `person-${Array.isArray(id) ? id[0] : id}`;
  });
}

function quantile(sorted, share) {
  const at = share * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

function drawCurves() {
  const columns = data.marks.map((_, m) => data.people.map((p) => p.losses[m]).sort((a, b) => a - b));
  const of = (share) => columns.map((column) => quantile(column, share));
  const mean = columns.map((column) => column.reduce((sum, v) => sum + v, 0) / column.length);
  const fit = cssColour("fit"), line = (y, more) => ({ type: "scatter", mode: "lines", x: data.marks, y, hoverinfo: "skip", ...more });
  const each = data.people.map((p) => line(p.losses, { line: { color: cssColour("faint"), width: 1 }, opacity: 0.4, hoverinfo: "text", hovertext: p.losses.map((l, m) => `person ${p.id}: ${number(l)} after ${data.marks[m]}`), customdata: data.marks.map(() => p.id) }));
  const band = [line(of(0.1), { line: { width: 0 } }), line(of(0.9), { line: { width: 0 }, fill: "tonexty", fillcolor: fit + "33" })];
  const traces = [...each, ...band, line(of(0.5), { line: { color: fit, width: 2.5 }, name: "median" }), line(mean, { line: { color: cssColour("truth"), width: 2, dash: "dot" }, name: "mean" })];
  for (const trace of traces.slice(-2)) Object.assign(trace, { hoverinfo: "y+name", showlegend: true });
  for (const trace of traces.slice(0, -2)) trace.showlegend = false;
  const layout = plain({ showlegend: true, legend: { x: 1, xanchor: "right", y: 1 }, margin: { l: 58, r: 14, t: 10, b: 46 }, xaxis: { title: { text: "iteration" }, rangemode: "tozero" }, yaxis: { type: "log", title: { text: "loss under the final weights" }, exponentformat: "power", dtick: 1 } });
  const node = find("curves");
  return Plotly.react(node, traces, layout, CONFIG).then(() => openOnClick(node));
}

function drawCharts() {
  data.measures.forEach(drawHistogram);
  drawCurves();
}

function drawGroups() {
  const shown = data.measures.filter((measure) => measure.truth);
  const tables = Object.entries(data.groups).map(([title, rows]) => {
    const most = Object.fromEntries(shown.map((m) => [m.key, Math.max(...rows.map((row) => row.means[m.key] ?? 0))]));
    const cell = (row, m) => element("td", { class: "number" }, number(row.means[m.key]), element("i", { style: `width:${Math.round((100 * (row.means[m.key] ?? 0)) / (most[m.key] || 1))}%` }));
    const head = [title, "people", ...shown.map((m) => `${m.title}${m.unit ? ", " + m.unit : ""}`)].map((text) => element("th", {}, text));
    const body = rows.map((row) => element("tr", {}, element("th", {}, row.name), element("td", { class: "number" }, row.people.toLocaleString("en")), ...shown.map((m) => cell(row, m))));
    return element("div", { class: "scroll" }, element("table", { class: "groups" }, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
  });
  find("groups").replaceChildren(...tables);
}

// ---- people

const gallery = { by: data.order, worstFirst: true, columns: null };

function sorted() {
  const measure = measures[gallery.by];
  const value = (person) => (gallery.by === "id" ? person.id : person.numbers[gallery.by]);
  const known = data.people.filter((p) => value(p) != null), unknown = data.people.filter((p) => value(p) == null);
  known.sort((a, b) => (measure ? better(measure, value(a), value(b)) : value(a) - value(b)));
  return [...(gallery.worstFirst ? known.reverse() : known), ...unknown];
}

function strip(person, columns) {
  const figure = (column) => element("figure", {}, element("img", { src: person.tiles[column], alt: `${COLUMNS[column]} of person ${person.id}`, loading: "lazy", width: 256, height: 256 }), element("figcaption", {}, COLUMNS[column]));
  return columns.filter((column) => person.tiles[column]).map(figure);
}

function card(person) {
  const measure = measures[data.order], { edges } = measure, value = person.numbers[data.order];
  const share = (value - edges[0]) / (edges[edges.length - 1] - edges[0] || 1);
  const values = data.measures.filter((m) => person.numbers[m.key] != null && (SHORT.includes(m.key) || m.key === data.order));
  return element(
    "a", { class: "card", href: `#person-${person.id}`, "data-person": person.id },
    element("div", { class: "strip" }, ...strip(person, gallery.columns)),
    element("div", { class: "rank" }, element("i", { style: `width:${100 * Math.max(0.02, share)}%;background:${Scene.heat(share)}` })),
    element("div", { class: "label" }, element("b", {}, `Person ${person.id}`), element("span", {}, person.caption)),
    element("div", { class: "values" }, ...values.map((m) => element("span", {}, `${m.title} `, element("b", {}, number(person.numbers[m.key], m.unit))))),
  );
}

function drawGallery() {
  const directions = gallery.by === "id" ? ["highest first", "lowest first"] : ["worst first", "best first"];
  const choose = (worstFirst) => () => ((gallery.worstFirst = worstFirst), drawGallery());
  find("direction").replaceChildren(...directions.map((text, n) => chip(text, gallery.worstFirst === (n === 0), choose(n === 0))));
  find("gallery").style.setProperty("--columns", gallery.columns.length);
  find("gallery").replaceChildren(...sorted().map(card));
}

function chip(text, pressed, act) {
  return element("button", { type: "button", "aria-pressed": String(pressed), onclick: act }, text);
}

function drawColumns() {
  const there = Object.keys(COLUMNS).filter((column) => data.people.some((p) => p.tiles[column]));
  gallery.columns ??= there.filter((column) => column !== "evidence" || !there.includes("picture"));
  const toggle = (column) => () => {
    const next = there.filter((c) => (c === column) !== gallery.columns.includes(c));
    if (next.length) gallery.columns = next;
    drawColumns();
    drawGallery();
  };
  find("columns").replaceChildren(...there.map((c) => chip(COLUMNS[c], gallery.columns.includes(c), toggle(c))));
}

// ---- one person

const scene = new Scene(find("scene"), data.body);
const last = data.marks.length - 1;
let playing = 0;

function current() {
  const found = /^#person-(-?\d+)$/.exec(location.hash);
  return found && data.people.find((person) => String(person.id) === found[1]);
}

function openPerson(person) {
  stop();
  const dialog = find("person");
  if (!dialog.open) dialog.showModal();
  find("person-title").textContent = `Person ${person.id}` + (person.caption ? ` · ${person.caption}` : "");
  find("person-tiles").replaceChildren(...strip(person, Object.keys(COLUMNS)));
  const row = (title, what, value) => element("tr", { title: what }, element("th", {}, title), element("td", {}, value));
  find("numbers").replaceChildren(
    ...data.measures.map((m) => row(m.title, m.what, number(person.numbers[m.key], m.unit))),
    ...data.faults.filter((fault) => person.numbers[fault.key]).map((fault) => row(fault.title, fault.what, "yes")),
  );
  drawChoices(person);
  find("mark").value = last;
  scene.show(person, last);
  drawSpark(person);
}

function drawChoices(person) {
  const choose = (key, value) => () => {
    scene.choose(key, value);
    drawChoices(person);
  };
  const chosen = scene.choices;
  find("surface").replaceChildren(...["solid", "glass", "hidden"].map((s) => chip(s, chosen.surface === s, choose("surface", s))));
  const also = ["skeleton", "evidence", "picture", ...(person.truth ? ["truth"] : [])];
  find("also").replaceChildren(...also.map((key) => chip(key, chosen[key], choose(key, !chosen[key]))));
  const colours = { plain: "plain", segments: "segments", ...(person.truth ? { distance: "distance to the truth" } : {}) };
  find("colour").replaceChildren(...Object.entries(colours).map(([value, text]) => element("option", { value, selected: chosen.colour === value }, text)));
  const key = (colour, text) => element("div", {}, element("i", { style: `background:${colour}` }), text);
  const scale = `linear-gradient(90deg, ${Scene.SCALE.map((c) => `rgb(${c})`).join()})`;
  find("legend").replaceChildren(
    chosen.colour === "distance" && person.truth ? element("div", {}, "0", element("i", { class: "scale", style: `background:${scale}` }), `${Scene.WORST} mm`) : key("var(--body)", "fit"),
    ...(chosen.truth && person.truth ? [key("var(--truth)", "truth")] : []),
    ...(chosen.evidence ? [key("var(--bad)", "from the fit to what was seen")] : []),
  );
}

// The person's loss, logarithmic, with the iteration that is shown.
function drawSpark(person) {
  const mark = Number(find("mark").value), logs = person.losses.map((loss) => Math.log(Math.max(loss, 1e-12)));
  const low = Math.min(...logs), high = Math.max(...logs), x = (m) => (300 * m) / Math.max(last, 1), y = (l) => 54 - (48 * (l - low)) / (high - low || 1);
  const svg = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  find("spark").replaceChildren(
    svg("line", { x1: x(mark), x2: x(mark), y1: 0, y2: 60, stroke: "var(--truth)", "vector-effect": "non-scaling-stroke" }),
    svg("polyline", { points: logs.map((l, m) => `${x(m)},${y(l)}`).join(" "), fill: "none", stroke: "var(--fit)", "stroke-width": 2, "vector-effect": "non-scaling-stroke" }),
  );
  find("iteration").textContent = `${data.marks[mark]} of ${data.marks[last]}: loss ${number(person.losses[mark])}`;
}

function goTo(mark) {
  find("mark").value = mark;
  drawSpark(scene.person);
  return scene.goTo(mark);
}

function stop() {
  clearTimeout(playing);
  playing = 0;
  find("play").textContent = "▶";
}

function play() {
  if (playing) return stop();
  find("play").textContent = "❚❚";
  const step = (mark) => {
    goTo(mark);
    if (mark < last) playing = setTimeout(step, 70, mark + 1);
    else stop();
  };
  const from = Number(find("mark").value);
  step(from < last ? from : 0);
}

function neighbour(by) {
  const order = sorted(), place = order.indexOf(current());
  location.hash = `person-${order[(place + by + order.length) % order.length].id}`;
}

function closePerson() {
  history.replaceState(null, "", location.pathname + location.search);
  followHash();
}

function followHash() {
  const person = current();
  if (person) return openPerson(person);
  stop();
  if (find("person").open) find("person").close();
  if (scene.person) scene.close();
}

function onKey(event) {
  if (!scene.person || event.target.closest?.("input, select")) return;
  const act = { ArrowLeft: () => neighbour(-1), ArrowRight: () => neighbour(1), " ": play }[event.key];
  if (!act || (event.key === " " && event.target.closest?.("button"))) return;
  event.preventDefault();
  act();
}

// ---- the page

function start() {
  find("title").textContent = data.title;
  find("lead").textContent = data.facts.lead;
  const exact = (m) => element("option", { value: m.key }, `${m.title}${m.unit ? ", " + m.unit : ""}`);
  find("sort").replaceChildren(...data.measures.map(exact), element("option", { value: "id" }, "id"));
  find("sort").value = gallery.by;
  find("shown").textContent = data.people.length < data.total ? `${data.people.length} of ${data.total.toLocaleString("en")} people: a third the worst, a third the best, the others evenly between, by ${measures[data.order].title}: ${measures[data.order].what}.` : `Everyone, by ${measures[data.order].title}: ${measures[data.order].what}.`;
  find("curve-note").textContent = data.curveNote;
  find("facts").replaceChildren(...data.facts.lines.flatMap(([key, value]) => [element("dt", {}, key), element("dd", { class: key === "command" ? "code" : "" }, value)]));
  find("inputs").replaceChildren(...data.facts.inputs.map(([path, digits]) => element("tr", {}, element("td", {}, path), element("td", { class: "code" }, digits))));
  find("config").replaceChildren(...data.facts.config.map(([key, value, changed]) => element("li", { class: changed ? "changed" : "" }, `${key} = ${value}`)));
  find("histograms").replaceChildren(...data.measures.map((m) => element("div", { class: "chart" }, element("h3", { title: m.what }, m.title, element("small", {}, m.what)), element("p", { class: "faint" }, `mean ${number(m.mean, m.unit)}, median ${number(m.median, m.unit)}`), element("div", { class: "plot", id: `histogram-${m.key}` }))));
  find("mark").max = last;
  drawTiles();
  drawGroups();
  drawColumns();
  drawGallery();

  find("sort").addEventListener("change", (event) => ((gallery.by = event.target.value), drawGallery()));
  find("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  find("previous").addEventListener("click", () => neighbour(-1));
  find("next").addEventListener("click", () => neighbour(1));
  find("close").addEventListener("click", closePerson);
  find("person").addEventListener("cancel", (event) => (event.preventDefault(), closePerson()));
  find("play").addEventListener("click", play);
  find("mark").addEventListener("input", (event) => (stop(), goTo(Number(event.target.value))));
  find("colour").addEventListener("change", (event) => (scene.choose("colour", event.target.value), drawChoices(scene.person)));
  for (const button of document.querySelectorAll("[data-view]")) button.addEventListener("click", () => scene.turn(button.dataset.view));
  addEventListener("keydown", onKey);
  addEventListener("hashchange", followHash);

  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  setTheme(dark.matches ? "dark" : "light");
  followHash();
}

start();
