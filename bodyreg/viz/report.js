"use strict";

// The sections of the page.

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  drawCharts();
  if (scene.person) scene.draw();
}

function tile(value, unit, words, more, bad) {
  return element(
    "div",
    { class: bad ? "tile bad" : "tile" },
    element("b", {}, value, element("small", {}, unit)),
    element("span", {}, words),
    element("em", {}, more),
  );
}

function drawTiles() {
  const all = data.measures.filter((m) => SHORT.includes(m.key) || m.key === data.order);
  const tiles = all.map((m) => tile(number(m.mean), m.unit, m.title, `mean; median ${number(m.median)}`));
  const faults = data.faults.map((f) =>
    tile(f.people.toLocaleString("en"), `of ${data.total.toLocaleString("en")}`, f.title, f.what, f.people > 0),
  );
  find("tiles").replaceChildren(...tiles, ...faults);
}

function start() {
  find("title").textContent = data.title;
  find("lead").textContent = data.facts.lead;
  const exact = (m) => element("option", { value: m.key }, `${m.title}${m.unit ? ", " + m.unit : ""}`);
  find("sort").replaceChildren(...data.measures.map(exact), element("option", { value: "id" }, "id"));
  find("sort").value = gallery.by;
  const measure = measures[data.order],
    by = measure ? `${measure.title} (${measure.what})` : "id",
    chosen = measure ? "the worst ones, the best ones, and some evenly between them" : "evenly chosen";
  const some = `${data.people.length} of ${data.total.toLocaleString("en")} people, by ${by}: ${chosen}.`;
  find("shown").textContent = `${data.people.length < data.total ? some : `All people, by ${by}.`} Click on a person for the body in 3-D.`;
  find("errors").hidden = !data.measures.length;
  find("course").hidden = find("time").hidden = !fitted;
  find("curve-note").textContent = data.curveNote;
  find("facts").replaceChildren(
    ...data.facts.lines.flatMap(([key, value]) => [
      element("dt", {}, key),
      element("dd", { class: key === "command" ? "code" : "" }, value),
    ]),
  );
  find("inputs").replaceChildren(
    ...data.facts.inputs.map(([path, digits]) =>
      element("tr", {}, element("td", {}, path), element("td", { class: "code" }, digits)),
    ),
  );
  find("config").replaceChildren(
    ...data.facts.config.map(([key, value, changed]) =>
      element("li", { class: changed ? "changed" : "" }, `${key} = ${value}`),
    ),
  );
  find("histograms").replaceChildren(
    ...data.measures.map((m) =>
      element(
        "div",
        { class: "chart" },
        element("h3", { title: m.what }, m.title, element("small", {}, m.what)),
        element("p", { class: "faint" }, `mean ${number(m.mean, m.unit)}, median ${number(m.median, m.unit)}`),
        element("div", { class: "plot", id: `histogram-${m.key}` }),
      ),
    ),
  );
  find("mark").max = last;
  drawTiles();
  drawGroups();
  drawColumns();
  drawGallery();

  find("sort").addEventListener("change", (event) => ((gallery.by = event.target.value), drawGallery()));
  find("theme").addEventListener("click", () =>
    setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
  );
  find("previous").addEventListener("click", () => neighbour(-1));
  find("next").addEventListener("click", () => neighbour(1));
  find("close").addEventListener("click", closePerson);
  find("person").addEventListener("cancel", (event) => (event.preventDefault(), closePerson()));
  find("play").addEventListener("click", play);
  find("mark").addEventListener("input", (event) => (stop(), goTo(Number(event.target.value))));
  find("colour").addEventListener(
    "change",
    (event) => (scene.choose("colour", event.target.value), drawChoices(scene.person)),
  );
  for (const button of document.querySelectorAll("[data-view]"))
    button.addEventListener("click", () => scene.turn(button.dataset.view));
  addEventListener("keydown", onKey);
  addEventListener("hashchange", followHash);

  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  setTheme(dark.matches ? "dark" : "light");
  followHash();
}

start();
