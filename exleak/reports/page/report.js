"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const PAGE = 25;
const CLASSES = ["negative", "neutral", "positive"];
let shown = PAGE;

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const number = (value, digits) => (value === null ? "–" : value.toFixed(digits));
const textOf = (index) => (index === null ? "" : data.texts[index]);

// A row as prompt_data in prompts.py gives it

function read([condition, control, injected, d, carried, before, calm, calmP, , , after, typical, typicalP, typicalKind, typicalWords, top, topP, topKind, topWords]) {
  const said = [["typical", textOf(typical), typicalP, typicalKind, typicalWords]];
  if (top !== null && top !== typical) said.push(["most leaking", textOf(top), topP, topKind, topWords]);
  return {
    condition, control: textOf(control), injected: textOf(injected), d, carried,
    without: { mean: before, said: [["typical", textOf(calm), calmP, null, []]] },
    with: { mean: after, said },
  };
}

// Which share of its continuations a prompt must restate the sentence in, by the filter's value

const KINDS = { most: (share) => share >= 0.5, some: (share) => share > 0 && share < 0.5, none: (share) => share === 0 };

const rowsOf = data.measurements.map(() => null);

function rows() {
  const at = byId("measurement").selectedIndex;
  rowsOf[at] ??= data.measurements[at].rows.map((row) => {
    const found = read(row);
    const texts = [found.control, found.injected, ...found.without.said.map((s) => s[1]), ...found.with.said.map((s) => s[1])];
    found.words = texts.join("\n").toLowerCase();
    return found;
  });
  return rowsOf[at];
}

function chosen() {
  const condition = byId("condition").value;
  const kind = KINDS[byId("kind").value];
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows().filter((row) =>
    (!condition || row.condition === condition) && (!kind || (row.carried !== null && kind(row.carried))) && words.every((word) => row.words.includes(word)));
  const order = byId("order").value;
  if (order === "dataset") return found;
  const sign = order === "most" ? -1 : 1;
  return [...found].sort((a, b) => (a.d === null) - (b.d === null) || sign * (a.d - b.d));
}

// What is shown

function bdi(text, words = []) {
  // The words stand in the data in lower case; \p{L} keeps "war" out of "warm".
  const known = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const parts = known.length ? text.split(new RegExp(`(?<!\\p{L})(${known.join("|")})(?!\\p{L})`, "giu")) : [text];
  const made = element("bdi", "", ...parts.map((part, i) => (i % 2 ? element("mark", "", part) : part)));
  made.dir = "auto";
  return made;
}

function meter(mean, whose) {
  const bar = element("div", "meter");
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", `mean class probabilities ${whose}: ${CLASSES.map((name, i) => `${name} ${number(mean[i], 2)}`).join(", ")}`);
  CLASSES.forEach((name, i) => {
    const part = element("span", `part ${name}`);
    part.style.width = `${100 * mean[i]}%`;
    bar.append(part);
  });
  return bar;
}

function cell(name, side) {
  const made = element("td", "", meter(side.mean, name.toLowerCase()));
  made.setAttribute("role", "cell");
  made.dataset.name = name;
  for (const [role, text, p, restates, words] of side.said) {
    const line = element("p", "said", element("span", "role", role), element("span", "number", `${number(p, 2)} `), bdi(text, words));
    if (restates) line.append(" ", element("span", "kind", "carry-over"));
    made.append(line);
  }
  return made;
}

function line(row) {
  const prompt = element("th", "", element("span", `condition ${row.condition}`, row.condition), " ");
  prompt.scope = "row";
  prompt.setAttribute("role", "rowheader");
  const injected = bdi(row.injected);
  injected.className = "injected";
  prompt.append(...(row.injected ? [injected, " "] : []), bdi(row.control));
  if (row.carried !== null) prompt.append(element("p", "said", `restated by ${Math.round(100 * row.carried)}% of the continuations`));
  const d = element("td", "number d", number(row.d, 3));
  d.setAttribute("role", "cell");
  d.dataset.name = "d";
  const made = element("tr", "", prompt, cell("Without the sentence", row.without), cell("With the sentence", row.with), d);
  made.setAttribute("role", "row");
  return made;
}

function draw() {
  const found = chosen();
  const visible = found.slice(0, shown);
  byId("rows").replaceChildren(...visible.map(line));
  byId("count").textContent = `${found.length} of ${rows().length} test prompts; ${visible.length} shown`;
  byId("more").hidden = visible.length === found.length;
}

function more() {
  const first = shown;
  shown += PAGE;
  draw();
  // Where the button vanishes, the focus would be lost: it goes to the first new row.
  const row = byId("rows").children[first];
  if (byId("more").hidden && row) {
    row.tabIndex = -1;
    row.focus();
  }
}

// Colours

const THEMES = [["", "as the system"], ["light", "light"], ["dark", "dark"]];

function theme(name) {
  const [value, label] = THEMES.find(([known]) => known === name) ?? THEMES[0];
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
  byId("theme").textContent = `Colours: ${label}`;
  try { localStorage.setItem("exleak-theme", value); } catch { /* not kept, that is all */ }
}

function nextTheme() {
  const now = THEMES.findIndex(([value]) => value === (document.documentElement.dataset.theme ?? ""));
  theme(THEMES[(now + 1) % THEMES.length][0]);
}

// What is folded is printed, too

let folded = [];

function unfold() {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const details of folded) details.open = true;
}

function fold() {
  for (const details of folded) details.open = false;
}

function start() {
  let kept = "";
  try { kept = localStorage.getItem("exleak-theme") ?? ""; } catch { /* nothing is kept */ }
  theme(kept);
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", nextTheme);
  window.addEventListener("beforeprint", unfold);
  window.addEventListener("afterprint", fold);
  byId("measurement").append(...data.measurements.map(({ name }) => element("option", "", name)));
  if (!data.measurements.some((found) => found.rows.length)) return;
  byId("browser").hidden = false;
  const again = () => { shown = PAGE; draw(); };
  byId("search").addEventListener("input", again);
  for (const id of ["measurement", "condition", "kind", "order"]) byId(id).addEventListener("change", again);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", more);
  draw();
}

start();
