// The data that the page was written with -> `session` and `rows`; details are read when somebody asks.
"use strict";

const session = dataOf(document.querySelector("script.session"));
const rows = readRows();
const detailBlocks = [...document.querySelectorAll("script.details")];
const recentBlocks = new Map();

const MOST_RECENT = 8;
const NO_DETAIL = { facts: [], parts: [], attributes: {} };

function dataOf(script) {
  return JSON.parse(script.textContent);
}

/** Rows come from the top of the tree down: those up to `last` lie below a row. */
function readRows() {
  const { columns, rows: values } = dataOf(document.querySelector("script.rows"));
  const path = [];
  const found = values.map((cells, index) => {
    const row = { index, last: index, parent: -1 };
    columns.forEach((column, at) => (row[column] = cells[at]));
    path.length = row.depth;
    if (row.depth) row.parent = path[row.depth - 1];
    path.push(index);
    row.text = `${row.name}\n${row.summary}`.toLowerCase();
    return row;
  });
  for (let index = found.length - 1; index > 0; index--) {
    const row = found[index];
    if (row.parent >= 0) found[row.parent].last = Math.max(found[row.parent].last, row.last);
  }
  return found;
}

function isPoint(row) {
  return row.duration === null && row.outcome !== "open";
}

/** When a row was over, in milliseconds; of an open call, how far the recording goes. */
function endOf(row) {
  if (row.duration !== null) return row.start + row.duration;
  return row.outcome === "open" ? Math.max(session.duration, row.start) : row.start;
}

function detailsOfBlock(block) {
  let details = recentBlocks.get(block);
  if (details === undefined) {
    details = dataOf(detailBlocks[block]);
    if (recentBlocks.size >= MOST_RECENT) recentBlocks.delete(recentBlocks.keys().next().value);
    recentBlocks.set(block, details);
  }
  return details;
}

function detailOf(row) {
  const [block, at] = row.place;
  return block < 0 ? NO_DETAIL : detailsOfBlock(block)[at];
}
