"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const store = `exleak-annotation:${data.export}`;
const byId = (id) => document.getElementById(id);
const names = data.questions.map((question) => question.name);
const empty = () => ({ annotator: "", at: 0, shortcuts: true, answers: {} });
let state = empty();

// What is kept

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(store));
    if (kept) state = { ...empty(), ...kept };
  } catch {
    complain("This browser does not keep answers. Save them to a file before you close the page.");
  }
}

function keep() {
  try {
    localStorage.setItem(store, JSON.stringify(state));
    byId("saved").textContent = "Saved in this browser";
  } catch {
    byId("saved").textContent = "";
    complain("This browser does not keep answers. Save them to a file before you close the page.");
  }
}

function complain(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

const answersOf = (item) => state.answers[item.item] || {};
const isComplete = (item) => names.every((name) => answersOf(item)[name]);
const isTouched = (item) => names.some((name) => answersOf(item)[name]);
const firstOpen = () => data.items.findIndex((item) => !isComplete(item));

// What is shown

function show(section) {
  for (const id of ["start", "work", "end"]) byId(id).hidden = id !== section;
  byId("tools").hidden = section === "start";
  const done = data.items.filter(isComplete).length;
  byId("meter").max = data.items.length;
  byId("meter").value = done;
  byId("progress").textContent = section === "work"
    ? `Item ${state.at + 1} of ${data.items.length}, ${done} answered`
    : `${done} of ${data.items.length} answered`;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function card(title, text) {
  const box = element("div", "card");
  if (title) box.append(element("h2", "", title));
  const words = element("p", "text", text);
  words.dir = "auto";
  box.append(words);
  return box;
}

function drawTexts(item) {
  const texts = byId("texts");
  texts.replaceChildren();
  if (item.context !== undefined) {
    const context = element("p", "context text", `${item.context} …`);
    context.dir = "auto";
    texts.append(context);
  }
  const cards = data.shown.filter((field) => field !== "context");
  const row = element("div", cards.length > 1 ? "pair" : "");
  const titles = { left: "Left", right: "Right" };
  for (const field of cards) row.append(card(titles[field], item[field]));
  texts.append(row);
}

const signs = { ArrowLeft: "←", ArrowDown: "↓", ArrowRight: "→" };
const sign = (key) => signs[key] || key.toUpperCase();

function drawQuestions(item) {
  const box = byId("questions");
  box.replaceChildren();
  for (const question of data.questions) {
    const group = element("fieldset");
    group.append(element("legend", "", question.text));
    const row = element("div", "choices");
    for (const choice of question.choices) row.append(choiceButton(item, question, choice));
    group.append(row);
    box.append(group);
  }
}

function choiceButton(item, question, choice) {
  const button = element("button", "", choice.label);
  button.type = "button";
  button.dataset.question = question.name;
  button.dataset.value = choice.value;
  button.setAttribute("aria-pressed", String(answersOf(item)[question.name] === choice.value));
  if (state.shortcuts) {
    const mark = element("kbd", "", sign(choice.keys[0]));
    mark.setAttribute("aria-hidden", "true");
    button.append(mark);
    button.setAttribute("aria-keyshortcuts", choice.keys.join(" "));
  }
  button.addEventListener("click", () => answer(question.name, choice.value));
  return button;
}

function work(focus = true) {
  const item = data.items[state.at];
  byId("heading").textContent = `Item ${state.at + 1}`;
  drawTexts(item);
  drawQuestions(item);
  byId("back").disabled = state.at === 0;
  byId("clear").disabled = !isTouched(item);
  byId("shortcuts").checked = state.shortcuts;
  show("work");
  if (focus) byId("heading").focus();
}

function end() {
  const open = data.items.filter((item) => !isComplete(item)).length;
  byId("verdict").textContent = open ? `${open} still open` : "All done";
  byId("open").hidden = !open;
  show("end");
  byId("verdict").focus();
}

// What the annotator does

function answer(question, value) {
  const item = data.items[state.at];
  const wasComplete = isComplete(item);
  state.answers[item.item] = { ...answersOf(item), [question]: value };
  keep();
  if (isComplete(item) && !wasComplete) return move(1);
  work(false);
  byId("questions").querySelector(`[data-question="${question}"][aria-pressed="true"]`).focus();
}

function move(step) {
  const at = state.at + step;
  if (at < 0) return;
  if (at >= data.items.length) return end();
  state.at = at;
  keep();
  work();
}

function clear() {
  delete state.answers[data.items[state.at].item];
  keep();
  work();
}

function go(at) {
  state.at = Math.max(0, Math.min(at, data.items.length - 1));
  keep();
  work();
}

function begin(event) {
  event.preventDefault();
  const name = byId("name").value.trim();
  if (!name) return;
  state.annotator = name;
  const open = firstOpen();
  if (open < 0) return end();
  go(open);
}

function start() {
  byId("intro").replaceChildren(...data.intro.map((text) => element("p", "", text)));
  const keys = data.questions.flatMap((question) =>
    question.choices.map((choice) => `${choice.keys.map(sign).join(" or ")}: ${choice.label}`));
  byId("keys").textContent =
    `Keys: ${[...keys, "Backspace: back", "Enter: next", "Delete: clear"].join(" · ")}`;
  byId("name").value = state.annotator;
  show("start");
  byId("name").focus();
}

function reset() {
  if (!confirm("Delete all answers in this browser and start over?")) return;
  state = empty();
  keep();
  byId("saved").textContent = "";
  start();
}

function press(event) {
  const { key, target } = event;
  if (byId("work").hidden || !state.shortcuts || event.repeat) return;
  if (event.ctrlKey || event.altKey || event.metaKey || target.tagName === "INPUT") return;
  // A focused button answers Enter itself, unless it is the answer just given.
  if (key === "Enter" && target.tagName === "BUTTON" && !target.dataset.question) return;
  const moves = { Backspace: () => move(-1), Enter: () => move(1), Delete: clear };
  const run = moves[key] || answerKey(key);
  if (!run) return;
  event.preventDefault();
  run();
}

function answerKey(key) {
  for (const question of data.questions) {
    const choice = question.choices.find(({ keys }) => keys.includes(key) || keys.includes(key.toLowerCase()));
    if (choice) return () => answer(question.name, choice.value);
  }
  return null;
}

// What leaves the page

function asJson() {
  const lines = data.items.filter(isTouched).map((item) => {
    const given = names.map((name) => [name, answersOf(item)[name] || null]);
    return `  ${JSON.stringify({ item: item.item, ...Object.fromEntries(given) })}`;
  });
  const head = { schema: 1, export: data.export, task: data.task, annotator: state.annotator };
  const fields = Object.entries(head).map(([name, value]) => ` "${name}": ${JSON.stringify(value)}`);
  return `{\n${fields.join(",\n")},\n "answers": [\n${lines.join(",\n")}\n ]\n}\n`;
}

function asCsv() {
  const cell = (text) => `"${(/^[=+\-@\t\r\n＝＋－＠']/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const rows = data.items.filter(isTouched).map((item) =>
    [data.export, item.item, state.annotator, ...names.map((name) => answersOf(item)[name] || "")]);
  const all = [["export", "item", "annotator", ...names], ...rows];
  return `\ufeff${all.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

function save(text, suffix, type) {
  const who = state.annotator.normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  const link = element("a");
  link.download = `answers-${data.export}-${who || "annotator"}.${suffix}`;
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// What comes back

async function resume() {
  const file = byId("file").files[0];
  if (!file) return;
  try {
    take(JSON.parse(await file.text()));
    complain("");
    begin(new Event("submit"));
  } catch (error) {
    complain(`${file.name} cannot be used: ${error.message}`);
  }
  byId("file").value = "";
}

function take(saved) {
  if (!saved || saved.export !== data.export) throw new Error("it belongs to another export");
  if (!Array.isArray(saved.answers)) throw new Error("there are no answers in it");
  const known = new Set(data.items.map((item) => item.item));
  for (const given of saved.answers) {
    if (!known.has(given.item)) continue;
    const valid = data.questions
      .filter(({ name, choices }) => choices.some(({ value }) => value === given[name]))
      .map(({ name }) => [name, given[name]]);
    state.answers[given.item] = { ...state.answers[given.item], ...Object.fromEntries(valid) };
  }
  if (typeof saved.annotator === "string") byId("name").value = saved.annotator.slice(0, 60);
}

const saveJson = () => save(asJson(), "json", "application/json");
const saveCsv = () => save(asCsv(), "csv", "text/csv;charset=utf-8");
byId("begin").addEventListener("submit", begin);
byId("file").addEventListener("change", resume);
byId("back").addEventListener("click", () => move(-1));
byId("next").addEventListener("click", () => move(1));
byId("clear").addEventListener("click", clear);
byId("review").addEventListener("click", () => go(data.items.length - 1));
byId("open").addEventListener("click", () => go(firstOpen()));
byId("help").addEventListener("click", start);
byId("reset").addEventListener("click", reset);
byId("shortcuts").addEventListener("change", (event) => {
  state.shortcuts = event.target.checked;
  keep();
  if (!byId("work").hidden) work(false);
});
for (const id of ["save-json", "final-json"]) byId(id).addEventListener("click", saveJson);
for (const id of ["save-csv", "final-csv"]) byId(id).addEventListener("click", saveCsv);
document.addEventListener("keydown", press);
// Another tab with the same export: the last one to answer wins, and both show it.
window.addEventListener("storage", (event) => {
  if (event.key !== store) return;
  const { at } = state;
  load();
  state.at = at;
  if (!byId("work").hidden) work(false);
});

load();
if (!state.annotator) start();
else if (firstOpen() < 0) end();
else go(firstOpen());
