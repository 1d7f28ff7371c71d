"use strict";

// Histograms, curves and tables of groups.

function plain(more) {
  const faint = cssColour("faint"),
    line = cssColour("line");
  const axis = { gridcolor: line, zeroline: false, linecolor: line, tickcolor: line, tickfont: { size: 11 } };
  const merge = (own) => ({ ...axis, ...own });
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: faint, family: "system-ui, sans-serif", size: 12 },
    margin: { l: 34, r: 8, t: 8, b: 34 },
    showlegend: false,
    bargap: 0.06,
    hovermode: "closest",
    ...more,
    xaxis: merge(more.xaxis),
    yaxis: merge(more.yaxis),
  };
}

const CONFIG = { displayModeBar: false, responsive: true };

function drawHistogram(measure) {
  const { edges, counts } = measure,
    log = measure.logarithmic;
  const at = (x) => (log ? Math.log10(x) : x);
  const middle = counts.map((_, b) => (at(edges[b]) + at(edges[b + 1])) / 2),
    width = at(edges[1]) - at(edges[0]);
  const hover = counts.map(
    (n, b) => `${number(edges[b])} to ${number(edges[b + 1], measure.unit)}: ${n.toLocaleString("en")} people`,
  );
  const shown = data.people.filter((p) => p.numbers[measure.key] != null);
  const traces = [
    {
      type: "bar",
      x: middle,
      y: counts,
      width: counts.map(() => width * 0.94),
      marker: { color: cssColour("fit") },
      hovertext: hover,
      hoverinfo: "text",
    },
    {
      type: "scatter",
      mode: "markers",
      x: shown.map((p) => at(p.numbers[measure.key])),
      y: shown.map(() => 0),
      cliponaxis: false,
      hoverinfo: "text",
      hovertext: shown.map((p) => `person ${p.id}: ${number(p.numbers[measure.key], measure.unit)}`),
      marker: { symbol: "line-ns-open", size: 9, color: cssColour("truth"), line: { width: 1.5 } },
      customdata: shown.map((p) => p.id),
    },
  ];
  const median = at(measure.median);
  const layout = plain({
    shapes: [
      {
        type: "line",
        x0: median,
        x1: median,
        y0: 0,
        y1: 1,
        yref: "paper",
        line: { color: cssColour("ink"), width: 1, dash: "dot" },
      },
    ],
    xaxis: { showgrid: false, ...(log ? logTicks(edges) : {}) },
    yaxis: { rangemode: "tozero", nticks: 4 },
  });
  const node = find(`histogram-${measure.key}`);
  return Plotly.react(node, traces, layout, CONFIG).then(() => openOnClick(node));
}

// Powers of ten in a range, and their multiples by two and five.
function logTicks(edges) {
  const [low, high] = [edges[0], edges[edges.length - 1]],
    values = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const digit of [1, 2, 5])
      if (digit * 10 ** power >= low && digit * 10 ** power <= high) values.push(digit * 10 ** power);
  }
  return {
    tickmode: "array",
    tickvals: values.map(Math.log10),
    ticktext: values.map((v) => String(Number(v.toPrecision(2)))),
  };
}

function openOnClick(node) {
  node.removeAllListeners("plotly_click");
  node.on("plotly_click", (event) => {
    const id = event.points[0].customdata ?? event.points[0].data.customdata;
    if (id != null) location.hash = `person-${Array.isArray(id) ? id[0] : id}`;
  });
}

function quantile(sorted, share) {
  const at = share * (sorted.length - 1),
    low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

function drawCurves() {
  const columns = data.marks.map((_, m) => data.people.map((p) => p.losses[m]).sort((a, b) => a - b));
  const of = (share) => columns.map((column) => quantile(column, share));
  const mean = columns.map((column) => column.reduce((sum, v) => sum + v, 0) / column.length);
  const fit = cssColour("fit"),
    line = (y, more) => ({ type: "scatter", mode: "lines", x: data.marks, y, hoverinfo: "skip", ...more });
  const each = data.people.map((p) =>
    line(p.losses, {
      line: { color: cssColour("faint"), width: 1 },
      opacity: 0.4,
      hoverinfo: "text",
      hovertext: p.losses.map((l, m) => `person ${p.id}: ${number(l)} after ${data.marks[m]}`),
      customdata: data.marks.map(() => p.id),
    }),
  );
  const band = [
    line(of(0.1), { line: { width: 0 } }),
    line(of(0.9), { line: { width: 0 }, fill: "tonexty", fillcolor: fit + "33" }),
  ];
  const traces = [
    ...each,
    ...band,
    line(of(0.5), { line: { color: fit, width: 2.5 }, name: "median" }),
    line(mean, { line: { color: cssColour("truth"), width: 2, dash: "dot" }, name: "mean" }),
  ];
  for (const trace of traces.slice(-2)) Object.assign(trace, { hoverinfo: "y+name", showlegend: true });
  for (const trace of traces.slice(0, -2)) trace.showlegend = false;
  const layout = plain({
    showlegend: true,
    legend: { x: 1, xanchor: "right", y: 1 },
    margin: { l: 72, r: 14, t: 10, b: 46 },
    xaxis: { title: { text: "iteration" }, rangemode: "tozero" },
    yaxis: { type: "log", title: { text: "loss, weights of the end" }, exponentformat: "power", dtick: 1 },
  });
  const node = find("curves");
  return Plotly.react(node, traces, layout, CONFIG).then(() => openOnClick(node));
}

function drawCharts() {
  data.measures.forEach(drawHistogram);
  if (fitted) drawCurves();
}

function drawGroups() {
  const shown = data.measures.filter((measure) => measure.truth);
  const tables = Object.entries(data.groups).map(([title, rows]) => {
    const most = Object.fromEntries(shown.map((m) => [m.key, Math.max(...rows.map((row) => row.means[m.key] ?? 0))]));
    const cell = (row, m) =>
      element(
        "td",
        { class: "number" },
        number(row.means[m.key]),
        element("i", { style: `width:${Math.round((100 * (row.means[m.key] ?? 0)) / (most[m.key] || 1))}%` }),
      );
    const head = [title, "people", ...shown.map((m) => `${m.title}${m.unit ? ", " + m.unit : ""}`)].map((text) =>
      element("th", {}, text),
    );
    const body = rows.map((row) =>
      element(
        "tr",
        {},
        element("th", {}, row.name),
        element("td", { class: "number" }, row.people.toLocaleString("en")),
        ...shown.map((m) => cell(row, m)),
      ),
    );
    return element(
      "div",
      { class: "scroll" },
      element(
        "table",
        { class: "groups" },
        element("thead", {}, element("tr", {}, ...head)),
        element("tbody", {}, ...body),
      ),
    );
  });
  find("groups").replaceChildren(...tables);
}
