// The rows on the screen: a tree on the left, bars of time on the right. Only those in sight are elements.
"use strict";

const ROW_HEIGHT = 26; // pixels, as in style.css
const SPARE = 12; // rows kept ready above and below
const DEEPEST = 14; // levels that are told by indentation
const ROOM = 16; // per cent of the width that a duration wants beside its bar

const scroller = byId("scroller");
const list = byId("rows");
const nothing = byId("nothing");
const drawn = new Map(); // place among the shown rows -> its elements
const idle = []; // elements that show no row just now
let selected = -1; // index of a row
let onSelect = () => {};

const drawList = beforeFrame(() => draw(false));
const redrawList = beforeFrame(() => draw(true));

/** Show what is shown now anew. */
function listShown() {
  list.style.height = `${shown.length * ROW_HEIGHT}px`;
  nothing.hidden = shown.length > 0;
  nothing.textContent = isFiltering() ? "No row passes the filters." : "Nothing was recorded.";
  redrawList();
}

function draw(isAnew) {
  const first = Math.max(0, Math.floor(scroller.scrollTop / ROW_HEIGHT) - SPARE);
  const end = Math.min(shown.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW_HEIGHT) + SPARE);
  for (const [at, line] of drawn) {
    if (at >= first && at < end) continue;
    drawn.delete(at);
    line.row.hidden = true;
    line.row.removeAttribute("id");
    idle.push(line);
  }
  for (let at = first; at < end; at++) {
    const line = drawn.get(at);
    if (line === undefined) fill(lineFor(at), at);
    else if (isAnew) fill(line, at);
  }
  list.setAttribute("aria-activedescendant", selected < 0 ? "" : `row-${selected}`);
}

function lineFor(at) {
  const line = idle.pop() ?? newLine();
  line.row.hidden = false;
  drawn.set(at, line);
  return line;
}

function newLine() {
  const line = {
    fold: element("span", { class: "fold", "aria-hidden": "true" }),
    sign: element("span", { class: "sign", "aria-hidden": "true" }),
    name: element("span", { class: "name" }),
    summary: element("span", { class: "summary" }),
    bar: element("span", { class: "bar" }),
    took: element("span", { class: "took" }),
  };
  line.label = element("span", { class: "label" }, line.fold, line.sign, line.name, line.summary);
  line.track = element("span", { class: "track", "aria-hidden": "true" }, line.bar, line.took);
  line.row = element("div", { class: "row", role: "treeitem" }, line.label, line.track);
  list.append(line.row);
  return line;
}

function fill(line, at) {
  const row = rows[shown[at]];
  const holdsOthers = row.last > row.index;
  const isFolded = matching === null && folded.has(row.index);
  const target = line.row;
  target.id = `row-${row.index}`;
  target.style.transform = `translateY(${at * ROW_HEIGHT}px)`;
  target.className = classes(row);
  target.setAttribute("aria-level", row.depth + 1);
  target.setAttribute("aria-posinset", at + 1);
  target.setAttribute("aria-setsize", shown.length);
  target.setAttribute("aria-selected", row.index === selected);
  if (holdsOthers) target.setAttribute("aria-expanded", !isFolded);
  else target.removeAttribute("aria-expanded");
  target.setAttribute("aria-label", spoken(row));
  line.label.style.paddingLeft = `${6 + Math.min(row.depth, DEEPEST) * 14}px`;
  line.fold.textContent = holdsOthers ? (isFolded ? "▸" : "▾") : "";
  line.name.textContent = row.name;
  line.summary.textContent = row.summary;
  line.label.title = row.summary === "" ? row.name : `${row.name}\n${row.summary}`;
  drawBar(line, row);
}

function classes(row) {
  const names = ["row", row.kind, isPoint(row) ? "point" : "call"];
  if (row.failed) names.push("failed");
  else if (row.outcome === "open") names.push("open");
  else if (row.outcome !== "") names.push("odd");
  if (row.index === selected) names.push("selected");
  if (matching !== null && matching[row.index] === 0) names.push("around");
  return names.join(" ");
}

function drawBar(line, row) {
  const start = place(row.start);
  const end = place(endOf(row));
  const left = Math.max(start, -1);
  const right = Math.min(end, 101);
  const isInView = end >= 0 && start <= 100;
  line.bar.hidden = !isInView;
  line.bar.style.left = `${left}%`;
  line.bar.style.width = isPoint(row) ? "" : `${Math.max(right - left, 0)}%`;
  line.took.textContent = isInView ? tookText(row) : end < 0 ? "◂" : "▸";
  const style = line.took.style;
  style.left = style.right = "";
  line.took.classList.remove("inside");
  if (!isInView) style[end < 0 ? "left" : "right"] = "2px";
  else if (right < 100 - ROOM) style.left = `calc(${Math.max(right, 0)}% + ${isPoint(row) ? 12 : 5}px)`;
  else if (left > ROOM) style.right = `calc(${100 - Math.min(left, 100)}% + 5px)`;
  else {
    style.left = `calc(${Math.max(left, 0)}% + 5px)`;
    line.took.classList.add("inside");
  }
}

function tookText(row) {
  const sign = row.failed ? "✗ " : "";
  if (isPoint(row)) return sign.trim();
  if (row.outcome === "open") return `still open, ${duration(endOf(row) - row.start)}`;
  const note = row.outcome !== "" && row.outcome !== "error" ? ` ${row.outcome}` : "";
  return `${sign}${duration(row.duration)}${note}`;
}

function spoken(row) {
  const parts = [`${row.kind} ${row.name}`, row.summary];
  if (!isPoint(row)) parts.push(row.outcome === "open" ? "still open" : duration(row.duration));
  if (row.failed) parts.push(row.outcome === "" ? "failed" : `failed: ${row.outcome}`);
  else if (row.outcome !== "" && row.outcome !== "open") parts.push(row.outcome);
  parts.push(`at ${duration(row.start)}`);
  return parts.filter((part) => part !== "").join(", ");
}

/** Select a row, unfolding what hides it, and bring it into sight. */
function select(index) {
  if (index < 0 || index >= rows.length) return;
  if (matching === null) {
    let isHidden = false;
    for (let at = rows[index].parent; at >= 0; at = rows[at].parent) isHidden = folded.delete(at) || isHidden;
    if (isHidden) refilter();
  }
  selected = index;
  reveal(placeOf(index));
  redrawList();
  onSelect(rows[index]);
}

/** The place of a row among those shown, or of the one above it where it is not shown. */
function placeOf(index) {
  let low = 0;
  let high = shown.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (shown[middle] <= index) low = middle;
    else high = middle - 1;
  }
  return low;
}

function reveal(at) {
  const top = at * ROW_HEIGHT;
  const room = scroller.clientHeight - ROW_HEIGHT;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top > scroller.scrollTop + room) scroller.scrollTop = top - room;
}

/** Select the row so many places further down. */
function move(places) {
  if (shown.length === 0) return;
  const at = selected < 0 ? -Math.sign(places) : placeOf(selected);
  select(shown[Math.min(Math.max(at + places, 0), shown.length - 1)]);
}

scroller.addEventListener("scroll", drawList, { passive: true });
list.addEventListener("click", (event) => {
  const at = Math.floor((event.clientY - list.getBoundingClientRect().top) / ROW_HEIGHT);
  if (at >= shown.length) return;
  const index = shown[at];
  if (event.target.className === "fold" && rows[index].last > index && matching === null) {
    if (folded.has(index)) unfold(index);
    else fold(index);
  }
  select(index);
});
list.addEventListener("dblclick", (event) => {
  if (selected >= 0 && event.target.closest(".track")) zoomToRow(rows[selected]);
});
