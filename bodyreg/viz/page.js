"use strict";

// The data, and functions that make nodes of the page from it.

const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const measures = Object.fromEntries(data.measures.map((measure) => [measure.key, measure]));
const COLUMNS = { picture: "picture", evidence: "evidence", before: "before", fit: "fit", side: "from the side", painted: "painted in the pose" };

// Text of the data enters the page only here, as text and never as markup.
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
  const size = Math.abs(value);
  const digits = size < 10 ? 2 : size < 100 ? 1 : 0;
  const tiny = size > 0 && size < 0.01;
  const text = tiny
    ? value.toExponential(2)
    : Number(value.toFixed(digits)).toLocaleString("en", { minimumFractionDigits: digits });
  return unit ? `${text}\u2009${unit}` : text;
}

const better = (measure, a, b) => (measure.best ? b - a : a - b);

// The measures that are shown in tiles and on cards.
const SHORT = ["points", "keypoints", "deviation", "doubt", "pixel", "vertex", "mpjpe", "pa_mpjpe"];
