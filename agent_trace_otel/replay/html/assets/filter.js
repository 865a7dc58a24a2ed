// Which rows are shown: those that pass the filters with what they stand in, or all that is unfolded.
"use strict";

const KINDS = [
  ["Agents", ["session", "turn", "agent"]],
  ["Models", ["model"]],
  ["Tools", ["tool", "mcp"]],
  ["Messages", ["prompt", "response"]],
  ["Decisions, files", ["decision", "file"]],
  ["Other", ["generic", "event", "error"]],
];
const SLICE = 8; // milliseconds of searching between two frames

const filter = { text: "", kinds: new Set(), tool: "", errors: false };
const folded = new Set();
let shown = []; // indexes of rows, in order
let matching = null; // per row 1 if it passes; null without a filter
let foundInDetails = null; // per row, for filter.text
let latestSearch = 0;
let isSearching = false;
let onShown = () => {};

function isFiltering() {
  return filter.text !== "" || filter.kinds.size > 0 || filter.tool !== "" || filter.errors;
}

/** Work out anew what is shown. */
function refilter() {
  matching = isFiltering() ? new Uint8Array(rows.length) : null;
  const next = [];
  if (matching === null) {
    for (let index = 0; index < rows.length; index++) {
      next.push(index);
      if (folded.has(index)) index = rows[index].last;
    }
  } else {
    const isKept = new Uint8Array(rows.length);
    for (const row of rows) {
      if (!passes(row)) continue;
      matching[row.index] = 1;
      for (let at = row.index; at >= 0 && !isKept[at]; at = rows[at].parent) isKept[at] = 1;
    }
    for (let index = 0; index < rows.length; index++) if (isKept[index]) next.push(index);
  }
  shown = next;
  onShown();
}

function passes(row) {
  if (filter.kinds.size > 0 && !filter.kinds.has(row.kind)) return false;
  if (filter.tool !== "" && (row.kind !== "tool" || row.name !== filter.tool)) return false;
  if (filter.errors && !row.failed) return false;
  return filter.text === "" || row.text.includes(filter.text) || foundInDetails[row.index] === 1;
}

/** Search names at once, then everything else a slice at a time, so that the page never stands still. */
function search(text) {
  filter.text = text.trim().toLowerCase();
  latestSearch += 1;
  isSearching = filter.text !== "";
  foundInDetails = filter.text === "" ? null : new Uint8Array(rows.length);
  refilter();
  if (isSearching) searchDetails(latestSearch, JSON.stringify(filter.text).slice(1, -1));
}

async function searchDetails(turn, text) {
  const byBlock = detailBlocks.map(() => []);
  for (const row of rows) if (row.place[0] >= 0) byBlock[row.place[0]].push(row);
  let began = performance.now();
  let isNew = false;
  for (let block = 0; block < byBlock.length; block++) {
    const details = dataOf(detailBlocks[block]);
    for (const row of byBlock[block]) {
      if (!saidBy(details[row.place[1]]).toLowerCase().includes(text)) continue;
      foundInDetails[row.index] = 1;
      isNew = true;
    }
    if (performance.now() - began > SLICE) {
      await new Promise((resume) => setTimeout(resume));
      if (turn !== latestSearch) return;
      if (isNew) refilter();
      isNew = false;
      began = performance.now();
    }
  }
  isSearching = false;
  refilter();
}

/** What was recorded, without the words that the page has for it. */
function saidBy({ facts, parts, attributes }) {
  return JSON.stringify([facts.map(([, value]) => value), parts.map((part) => part.value), attributes]);
}

function fold(index) {
  if (rows[index].last > index) folded.add(index);
  refilter();
}

function unfold(index) {
  folded.delete(index);
  refilter();
}

/** Fold every row that holds others but the sessions themselves, so that turns are seen; or unfold all. */
function foldAll(isFolded) {
  folded.clear();
  if (isFolded) for (const row of rows) if (row.last > row.index && row.kind !== "session") folded.add(row.index);
  refilter();
}
