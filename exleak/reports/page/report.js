"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const PAGE = 25;
const CLASSES = ["negative", "neutral", "positive"];
const FILTERS = { condition: "", kind: "", order: "most", search: "" };
let shown = PAGE;
// The address of the pair that is pointed at
let current = null;

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const number = (value, digits) => (value === null ? "–" : value.toFixed(digits));
const textOf = (index) => (index === null ? "" : data.texts[index]);

// A row as prompt_data in prompt_table.py gives it

function read([condition, control, injected, d, carried, before, calm, calmP, , , after, typical, typicalP, typicalKind, typicalWords, top, topP, topKind, topWords, id, kind]) {
  const said = [["typical", textOf(typical), typicalP, typicalKind, typicalWords]];
  if (top !== null && top !== typical) said.push(["most leaking", textOf(top), topP, topKind, topWords]);
  return {
    id, kind, condition, control: textOf(control), injected: textOf(injected), d, carried,
    without: { mean: before, said: [["typical", textOf(calm), calmP, null, []]] },
    with: { mean: after, said },
  };
}

// Filters by the share of continuations that restate the sentence; the other kinds stand in the data

const SHARES = { some: (share) => share > 0 && share < 0.5, none: (share) => share === 0 };

const isOf = (row, kind) => !kind || row.kind === kind || (row.carried !== null && Boolean(SHARES[kind]?.(row.carried)));

const rowsOf = data.measurements.map(() => null);

function rows() {
  const at = byId("measurement").selectedIndex;
  rowsOf[at] ??= data.measurements[at].rows.map((row) => {
    const found = read(row);
    found.address = `${data.measurements[at].id}/${found.id}`;
    const texts = [found.control, found.injected, ...found.without.said.map((s) => s[1]), ...found.with.said.map((s) => s[1])];
    found.words = texts.join("\n").toLowerCase();
    return found;
  });
  return rowsOf[at];
}

function chosen() {
  const condition = byId("condition").value;
  const kind = byId("kind").value;
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows().filter((row) =>
    (!condition || row.condition === condition) && isOf(row, kind) && words.every((word) => row.words.includes(word)));
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
  if (["mood", "non-specific"].includes(row.kind)) prompt.append(element("span", "kind", row.kind), " ");
  prompt.append(...(row.injected ? [injected, " "] : []), bdi(row.control));
  if (row.carried !== null) prompt.append(element("p", "said share", `restated by ${Math.round(100 * row.carried)}% of the continuations`));
  const link = element("a", "", `link to ${row.id}`);
  link.href = `#${fragment(row.address)}`;
  prompt.append(element("p", "said link", link));
  const d = element("td", "number d", number(row.d, 3));
  d.setAttribute("role", "cell");
  d.dataset.name = "d";
  const made = element("tr", "", prompt, cell("Without the sentence", row.without), cell("With the sentence", row.with), d);
  made.id = row.address;
  made.tabIndex = -1;
  if (row.address === current) made.setAttribute("aria-current", "true");
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
  if (byId("more").hidden) byId("rows").children[first]?.focus();
}

function again() {
  shown = PAGE;
  current = null;
  draw();
  remember();
}

// What the address says: "#PAIR?FILTERS", "#prompts?FILTERS" for the table, or "#MEASUREMENT" in full

function fragment(pair) {
  const filters = new URLSearchParams();
  const measurement = byId("measurement");
  if (!pair && measurement.selectedIndex > 0) filters.set("measurement", measurement.value);
  for (const [id, initial] of Object.entries(FILTERS)) {
    if (byId(id).value !== initial) filters.set(id, byId(id).value);
  }
  return [pair ?? "prompts", filters.toString()].filter(Boolean).join("?");
}

let waiting;

function remember() {
  // Browsers refuse changes as frequent as keys.
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    try { history.replaceState(null, "", `#${fragment(current)}`); } catch { /* links still have it */ }
  }, 200);
}

function asked() {
  const [target, ...query] = location.hash.slice(1).split("?");
  let name = "";
  try { name = decodeURIComponent(target); } catch { /* no id of this page */ }
  return { name, filters: new URLSearchParams(query.join("?")) };
}

function filter(values) {
  for (const [id, initial] of Object.entries(FILTERS)) {
    byId(id).value = values.get(id) ?? initial;
    if (byId(id).selectedIndex === -1) byId(id).value = initial;
  }
}

function visit() {
  const { name, filters } = asked();
  const [measurement, pair] = name.split("/");
  const details = byId(name);
  if (details?.localName === "details") return unfoldAt(details);
  if (byId("browser").hidden || (pair === undefined && name !== "prompts" && name)) return;
  const wanted = pair === undefined ? filters.get("measurement") : measurement;
  byId("measurement").selectedIndex = Math.max(0, data.measurements.findIndex(({ id }) => id === wanted));
  filter(filters);
  current = pair === undefined ? null : name;
  if (current && !chosen().some((row) => row.address === current)) filter(new Map());
  shown = PAGE;
  draw();
  if (current && !show(current)) byId("count").textContent += `; there is no pair ${name} in this report`;
  if (name === "prompts") byId("prompts").scrollIntoView();
}

function unfoldAt(details) {
  details.open = true;
  point(details);
  details.querySelector("summary").focus({ preventScroll: true });
}

// The pair, or the measurement, that is pointed at

function point(at) {
  document.querySelector("[aria-current]")?.removeAttribute("aria-current");
  at.setAttribute("aria-current", "true");
  at.scrollIntoView({ block: at.offsetHeight < innerHeight ? "center" : "start" });
}

function show(address) {
  const place = chosen().findIndex((row) => row.address === address);
  if (place < 0) return false;
  if (place >= shown) {
    shown = PAGE * Math.ceil((place + 1) / PAGE);
    draw();
  }
  current = address;
  const row = byId("rows").children[place];
  point(row);
  row.focus({ preventScroll: true });
  return true;
}

// Keys

function step(by) {
  const found = chosen();
  const at = document.activeElement.closest("#rows > tr")?.id ?? current;
  const place = found.findIndex((row) => row.address === at);
  const next = found[place < 0 ? 0 : place + by];
  if (next && show(next.address)) remember();
}

const KEYS = { j: () => step(1), k: () => step(-1), "/": () => byId("search").focus() };

function press(event) {
  const run = KEYS[event.key];
  if (!run || !byId("shortcuts").checked || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("input, select")) return;
  event.preventDefault();
  run();
}

function keep(name, value) {
  try { localStorage.setItem(name, value); } catch { /* not kept, that is all */ }
}

function kept(name) {
  try { return localStorage.getItem(name) ?? ""; } catch { return ""; }
}

// Colours

const THEMES = [["", "as the system"], ["light", "light"], ["dark", "dark"]];

function theme(name) {
  const [value, label] = THEMES.find(([known]) => known === name) ?? THEMES[0];
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
  byId("theme").textContent = `Colours: ${label}`;
  keep("exleak-theme", value);
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
  theme(kept("exleak-theme"));
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", nextTheme);
  window.addEventListener("beforeprint", unfold);
  window.addEventListener("afterprint", fold);
  byId("measurement").append(...data.measurements.map(({ id, name }) => {
    const option = element("option", "", name);
    option.value = id;
    return option;
  }));
  window.addEventListener("hashchange", visit);
  byId("browser").hidden = !data.measurements.some((found) => found.rows.length);
  if (byId("browser").hidden) return visit();
  byId("search").addEventListener("input", again);
  for (const id of ["measurement", "condition", "kind", "order"]) byId(id).addEventListener("change", again);
  byId("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    current = null;
    step(1);
  });
  byId("more").addEventListener("click", more);
  byId("shortcuts").checked = kept("exleak-shortcuts") !== "off";
  byId("shortcuts").addEventListener("change", () => keep("exleak-shortcuts", byId("shortcuts").checked ? "" : "off"));
  document.addEventListener("keydown", press);
  draw();
  visit();
}

start();
