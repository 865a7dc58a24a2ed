// The page put together: what stands above the rows, buttons and keys.
"use strict";

const searchField = byId("search");
const toolField = byId("tool");
const errorsButton = byId("errors");
const help = byId("help");
const splitter = byId("splitter");
const failures = rows.filter((row) => row.failed).map((row) => row.index);
const PAGE = 20; // rows of a page key
const TYPING = 150; // milliseconds without a key before a search begins

function showHead() {
  document.title = `${session.agent_name || "session"} · ${session.session_id.slice(0, 8)}`;
  byId("agent").textContent = session.agent_name || "session";
  byId("session-id").textContent = session.session_id;
  byId("state").textContent = session.state_line;
  byId("state").hidden = session.state_line === "";
  const started = new Date(session.origin);
  const facts = [
    ["Started", rows.length ? started.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" }) : "-"],
    ["Duration", duration(session.duration_ms)],
    ["Tool calls", number(session.tool_calls)],
    ["Model calls", number(session.llm_requests)],
    ["Errors", number(session.errors)],
    ["Tokens", number(session.total_tokens)],
    ["Cost", session.cost ? dollars(session.cost) : ""],
  ];
  for (const [label, value] of facts) {
    if (value === "") continue;
    const isBad = label === "Errors" && session.errors > 0;
    byId("facts").append(element("div", {}, element("dt", {}, label), element("dd", isBad ? { class: "bad" } : {}, value)));
  }
  const notes = byId("notes");
  notes.hidden = session.notes.length === 0;
  notes.append(...session.notes.map((note) => element("p", {}, note)));
}

function showFilters() {
  const present = new Set(rows.map((row) => row.kind));
  for (const [label, kinds] of KINDS) {
    if (!kinds.some((kind) => present.has(kind))) continue;
    const count = rows.filter((row) => kinds.includes(row.kind)).length;
    const button = element("button", { type: "button", class: `kind-filter ${kinds[0]}`, "aria-pressed": "false" });
    button.append(label, " ", element("small", {}, number(count)));
    button.addEventListener("click", () => {
      const isOn = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", isOn);
      for (const kind of kinds) isOn ? filter.kinds.add(kind) : filter.kinds.delete(kind);
      refilter();
    });
    byId("kinds").append(button);
  }
  const tools = new Map();
  for (const row of rows) if (row.kind === "tool") tools.set(row.name, (tools.get(row.name) ?? 0) + 1);
  toolField.append(element("option", { value: "" }, "All tools"));
  for (const [name, count] of [...tools].sort((one, other) => other[1] - one[1])) {
    toolField.append(element("option", { value: name }, `${name} (${count})`));
  }
  toolField.hidden = tools.size === 0;
  errorsButton.append(" ", element("small", {}, number(failures.length)));
  errorsButton.disabled = failures.length === 0;
}

function clearFilters() {
  filter.kinds.clear();
  filter.tool = toolField.value = searchField.value = "";
  filter.errors = false;
  for (const button of document.querySelectorAll("#tools [aria-pressed]")) button.setAttribute("aria-pressed", "false");
  search("");
}

onShown = () => {
  const passing = matching === null ? shown.length : matching.reduce((sum, one) => sum + one, 0);
  const of = isFiltering() ? `${number(passing)} of ${number(rows.length)} rows` : `${number(rows.length)} rows`;
  byId("count").textContent = isSearching ? `${of}, searching…` : of;
  byId("clear").hidden = !isFiltering();
  listShown();
  if (selected >= 0) reveal(placeOf(selected));
  else if (isFiltering()) scroller.scrollTop = 0;
};

onSelect = (row) => {
  document.body.classList.add("detailed");
  showDetail(row);
  bringIntoTime(row);
  // a link to the row; a page in a frame or in a viewer may not be allowed to change its address
  try {
    history.replaceState(null, "", `#${encodeURIComponent(row.key)}`);
  } catch {
    return;
  }
};

function nextFailure(step) {
  const found = step > 0 ? failures.find((index) => index > selected) : failures.findLast((index) => index < selected);
  if (found === undefined) return;
  if (matching !== null && matching[found] === 0) clearFilters();
  select(found);
}

function switchTheme() {
  const isDark = getComputedStyle(document.body).colorScheme === "dark" || (!document.documentElement.dataset.theme && prefersDark());
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  drawOverview();
}

function prefersDark() {
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function inOrOut(step) {
  const row = rows[selected];
  if (row === undefined) return move(1);
  const isFolded = folded.has(selected);
  if (step > 0 && isFolded && matching === null) unfold(selected);
  else if (step > 0 && row.last > selected) move(1);
  else if (step < 0 && row.last > selected && !isFolded && matching === null) fold(selected);
  else if (step < 0 && row.parent >= 0) select(row.parent);
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  PageDown: () => move(PAGE),
  PageUp: () => move(-PAGE),
  Home: () => move(-rows.length),
  End: () => move(rows.length),
  g: () => move(-rows.length),
  G: () => move(rows.length),
  ArrowRight: (event) => (event.shiftKey ? foldAll(false) : inOrOut(1)),
  ArrowLeft: (event) => (event.shiftKey ? foldAll(true) : inOrOut(-1)),
  l: () => inOrOut(1),
  h: () => inOrOut(-1),
  Enter: () => (selected < 0 ? move(1) : panel.focus()),
  "/": () => searchField.select(),
  f: () => byId("kinds").querySelector("button")?.focus(),
  c: clearFilters,
  e: () => nextFailure(1),
  E: () => nextFailure(-1),
  "+": () => zoomBy(2),
  "=": () => zoomBy(2),
  "-": () => zoomBy(0.5),
  0: fit,
  z: () => selected >= 0 && zoomToRow(rows[selected]),
  t: switchTheme,
  "?": () => help.showModal(),
};
const SCROLLING = new Set(["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "PageDown", "PageUp", "Home", "End"]);

function zoomBy(factor) {
  zoom(factor);
  drawTime();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const at = event.target;
  if (event.key === "Escape") {
    if (at === searchField && searchField.value !== "") return;
    if (at === list) document.body.classList.remove("detailed");
    list.focus();
    return;
  }
  if (at.matches("input, select, [role=separator]")) {
    if (event.key === "Enter" && at === searchField) list.focus();
    return;
  }
  // keys of a button or of a text that scrolls are its own
  if (at !== list && at !== document.body && (SCROLLING.has(event.key) || event.key === "Enter")) return;
  const act = KEYS[event.key];
  if (act === undefined) return;
  event.preventDefault();
  act(event);
});

let typing = 0;
searchField.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => search(searchField.value), TYPING);
});
toolField.addEventListener("change", () => {
  filter.tool = toolField.value;
  refilter();
});
errorsButton.addEventListener("click", () => {
  filter.errors = !filter.errors;
  errorsButton.setAttribute("aria-pressed", filter.errors);
  refilter();
});
byId("clear").addEventListener("click", clearFilters);
byId("fold").addEventListener("click", () => foldAll(true));
byId("unfold").addEventListener("click", () => foldAll(false));
byId("zoom-in").addEventListener("click", () => zoomBy(2));
byId("zoom-out").addEventListener("click", () => zoomBy(0.5));
byId("zoom-fit").addEventListener("click", fit);
byId("theme").addEventListener("click", switchTheme);
byId("help-button").addEventListener("click", () => help.showModal());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawOverview);

function widen(share) {
  const kept = Math.min(Math.max(share, 0.2), 0.7);
  byId("main").style.setProperty("--detail", `${kept * 100}%`);
  splitter.setAttribute("aria-valuenow", Math.round(kept * 100));
}
splitter.addEventListener("pointerdown", (down) => {
  splitter.setPointerCapture(down.pointerId);
  const drag = (event) => widen(1 - event.clientX / document.body.clientWidth);
  splitter.addEventListener("pointermove", drag);
  splitter.addEventListener("lostpointercapture", () => splitter.removeEventListener("pointermove", drag), { once: true });
});
splitter.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: 0.05, ArrowRight: -0.05 }[event.key];
  if (step !== undefined) widen(panel.offsetWidth / document.body.clientWidth + step);
});

showHead();
showFilters();
refilter();
drawTime();
drawOverview();
const linked = rows.findIndex((row) => `#${encodeURIComponent(row.key)}` === location.hash);
if (linked >= 0) select(linked);
