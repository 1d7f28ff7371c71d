"use strict";

// The gallery, and one person at a time.

const gallery = { by: data.order, worstFirst: true, columns: null };

function sorted() {
  const measure = measures[gallery.by];
  const value = (person) => (gallery.by === "id" ? person.id : person.numbers[gallery.by]);
  const known = data.people.filter((p) => value(p) != null),
    unknown = data.people.filter((p) => value(p) == null);
  known.sort((a, b) => (measure ? better(measure, value(a), value(b)) : value(a) - value(b)));
  return [...(gallery.worstFirst ? known.reverse() : known), ...unknown];
}

function strip(person, columns) {
  const figure = (column) =>
    element(
      "figure",
      {},
      element("img", {
        src: person.tiles[column],
        alt: `${COLUMNS[column]} of person ${person.id}`,
        loading: "lazy",
        width: 256,
        height: 256,
      }),
      element("figcaption", {}, COLUMNS[column]),
    );
  return columns.filter((column) => person.tiles[column]).map(figure);
}

function card(person) {
  const edges = measures[data.order]?.edges ?? [0, 0],
    value = person.numbers[data.order] ?? 0;
  const share = (value - edges[0]) / (edges[edges.length - 1] - edges[0] || 1);
  const values = data.measures.filter(
    (m) => person.numbers[m.key] != null && (SHORT.includes(m.key) || m.key === data.order),
  );
  return element(
    "a",
    { class: "card", href: `#person-${person.id}`, "data-person": person.id },
    element("div", { class: "strip" }, ...strip(person, gallery.columns)),
    element(
      "div",
      { class: "rank" },
      element("i", { style: `width:${100 * Math.max(0.02, share)}%;background:${Scene.mixed(share, Scene.SCALE)}` }),
    ),
    element("div", { class: "label" }, element("b", {}, `Person ${person.id}`), element("span", {}, person.caption)),
    ...(person.reasons.length ? [element("div", { class: "reasons" }, `doubtful: ${person.reasons.join("; ")}`)] : []),
    element(
      "div",
      { class: "values" },
      ...values.map((m) => element("span", {}, `${m.title} `, element("b", {}, number(person.numbers[m.key], m.unit)))),
    ),
  );
}

function drawGallery() {
  const directions = gallery.by === "id" ? ["highest first", "lowest first"] : ["worst first", "best first"];
  const choose = (worstFirst) => () => ((gallery.worstFirst = worstFirst), drawGallery());
  find("direction").replaceChildren(
    ...directions.map((text, n) => chip(text, gallery.worstFirst === (n === 0), choose(n === 0))),
  );
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
const last = data.marks.length - 1,
  fitted = last > 0; // step by step, not seen by a network
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
  const row = (title, what, value) =>
    element("tr", { title: what }, element("th", {}, title), element("td", {}, value));
  find("numbers").replaceChildren(
    ...data.measures.map((m) => row(m.title, m.what, number(person.numbers[m.key], m.unit))),
    ...data.faults.filter((fault) => person.numbers[fault.key]).map((fault) => row(fault.title, fault.what, "yes")),
  );
  const doubts = person.reasons.length ? [`Doubtful: ${person.reasons.join("; ")}.`] : [];
  if (person.doubt) doubts.push(`Least certain: ${person.doubt.words}.`);
  find("doubt").textContent = doubts.join(" ");
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
  find("surface").replaceChildren(
    ...["solid", "glass", "hidden"].map((s) => chip(s, chosen.surface === s, choose("surface", s))),
  );
  const also = ["skeleton", "evidence", "picture", ...(person.truth ? ["truth"] : [])];
  find("also").replaceChildren(...also.map((key) => chip(key, chosen[key], choose(key, !chosen[key]))));
  const colours = {
    plain: "plain",
    segments: "segments",
    ...(person.doubt ? { doubt: "how certain" } : {}),
    ...(person.truth ? { distance: "distance to the truth" } : {}),
  };
  find("colour").replaceChildren(
    ...Object.entries(colours).map(([value, text]) =>
      element("option", { value, selected: chosen.colour === value }, text),
    ),
  );
  const key = (colour, text) => element("div", {}, element("i", { style: `background:${colour}` }), text);
  const scale = chosen.colour === "doubt" ? data.doubt.colours : Scene.SCALE;
  const gradient = `linear-gradient(90deg, ${scale.map((c) => `rgb(${c})`).join()})`;
  const ends = {
    ...(person.truth ? { distance: [0, `${Scene.WORST} mm`] } : {}),
    ...(person.doubt ? { doubt: [`± ${data.doubt.ends[0]}`, `± ${data.doubt.ends[1]} mm`] } : {}),
  }[chosen.colour];
  find("legend").replaceChildren(
    ends
      ? element("div", {}, ends[0], element("i", { class: "scale", style: `background:${gradient}` }), ends[1])
      : key("var(--body)", "fit"),
    ...(chosen.truth && person.truth ? [key("var(--truth)", "truth")] : []),
    ...(chosen.evidence ? [key("var(--bad)", "from the fit to what was seen")] : []),
  );
}

// The person's loss, logarithmic, with the iteration that is shown.
function drawSpark(person) {
  if (!fitted) return;
  const mark = Number(find("mark").value),
    logs = person.losses.map((loss) => Math.log(Math.max(loss, 1e-12)));
  const low = Math.min(...logs),
    high = Math.max(...logs),
    x = (m) => (300 * m) / Math.max(last, 1),
    y = (l) => 54 - (48 * (l - low)) / (high - low || 1);
  const svg = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  find("spark").replaceChildren(
    svg("line", {
      x1: x(mark),
      x2: x(mark),
      y1: 0,
      y2: 60,
      stroke: "var(--truth)",
      "vector-effect": "non-scaling-stroke",
    }),
    svg("polyline", {
      points: logs.map((l, m) => `${x(m)},${y(l)}`).join(" "),
      fill: "none",
      stroke: "var(--fit)",
      "stroke-width": 2,
      "vector-effect": "non-scaling-stroke",
    }),
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
  if (!fitted) return;
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
  const order = sorted(),
    place = order.indexOf(current());
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
