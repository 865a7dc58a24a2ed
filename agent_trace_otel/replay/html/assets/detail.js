// The row that is selected, whole: facts, then arguments, results and messages in the form that reads best.
"use strict";

const panel = byId("detail");
const CONTEXT = 3; // unchanged lines around a change
const MOST_COMPARED = 600; // lines of a side; of more the old and the new are shown one after the other

function showDetail(row) {
  const detail = detailOf(row);
  const facts = [
    ["Outcome", outcomeOf(row)],
    ["Started", `${clock(row.start)} (+${duration(row.start)})`],
    ["Took", row.duration === null ? null : duration(row.duration)],
    ...detail.facts,
    ["Cost", row.cost ? dollars(row.cost) : null],
  ].filter(([, value]) => value !== null && value !== "");
  panel.replaceChildren(
    element(
      "div",
      { class: "detail-head" },
      element("h2", {}, element("span", { class: `kind ${row.kind}` }, row.kind), " ", row.name),
      closeButton(),
    ),
    element("dl", { class: "facts" }, ...facts.flatMap(([label, value]) => fact(label, value, row))),
    ...detail.parts.map((part) => section(part.title, FORMS[part.form](part.value), true, part.form)),
    ...attributesOf(detail),
  );
  panel.scrollTop = 0;
}

function closeButton() {
  const button = element("button", { type: "button", class: "close", "aria-label": "Close the details" }, "✕");
  button.addEventListener("click", () => {
    document.body.classList.remove("detailed");
    list.focus();
  });
  return button;
}

function outcomeOf(row) {
  if (isPoint(row)) return "";
  return row.outcome === "" ? "ok" : row.outcome === "open" ? "still open" : row.outcome;
}

function clock(milliseconds) {
  const time = new Date(Date.parse(session.origin) + milliseconds);
  return `${time.toLocaleTimeString("en-GB")}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

function fact(label, value, row) {
  const isBad = row.failed && (label === "Outcome" || label === "Error");
  const text = Array.isArray(value) ? value.join(", ") : typeof value === "number" ? number(value) : String(value);
  return [element("dt", {}, label), element("dd", isBad ? { class: "bad" } : {}, label === "Process" ? String(value) : text)];
}

function section(title, content, isOpen, form = "") {
  const made = element("details", { class: `part ${form}` }, element("summary", {}, title), content);
  made.open = isOpen;
  return made;
}

function attributesOf(detail) {
  if (Object.keys(detail.attributes).length === 0) return [];
  return [section("Attributes", json(detail.attributes), false)];
}

const FORMS = {
  text: (value) => element("pre", {}, value),
  error: (value) => element("pre", { class: "bad" }, value),
  prose,
  json: (value) => json(value),
  messages: (value) => element("div", {}, ...value.map(message)),
  edits: (value) => element("div", {}, ...value.map(({ old, new: now }) => lines(changes(old, now)))),
  patch: (value) => lines(value.split("\n").map((line) => [/^[+-]/.test(line) ? line[0] : " ", line])),
};

/** Coloured JSON; texts of several lines keep their lines. */
function json(value) {
  const block = element("pre", { class: "json" });
  write(value, "", block);
  return block;
}

function write(value, indent, into) {
  if (value === null || typeof value !== "object") {
    into.append(scalar(value));
    return;
  }
  const isList = Array.isArray(value);
  const entries = Object.entries(value);
  if (entries.length === 0) {
    into.append(isList ? "[]" : "{}");
    return;
  }
  into.append(isList ? "[\n" : "{\n");
  const inner = `${indent}  `;
  entries.forEach(([key, item], at) => {
    into.append(inner);
    if (!isList) into.append(element("span", { class: "key" }, key), ": ");
    write(item, inner, into);
    into.append(at < entries.length - 1 ? ",\n" : "\n");
  });
  into.append(indent, isList ? "]" : "}");
}

function scalar(value) {
  if (typeof value !== "string") return element("span", { class: value === null ? "null" : typeof value }, String(value));
  if (!value.includes("\n")) return element("span", { class: "string" }, `"${value}"`);
  return element("span", { class: "string lines" }, value.replace(/\n$/, ""));
}

/** Text with the markdown that models write most: fences, headings, `code` and **strong**. */
function prose(text) {
  const block = element("div", { class: "prose" });
  text.split(/^[ \t]*```.*$/m).forEach((piece, at) => {
    if (at % 2 === 1) block.append(element("pre", {}, piece.replace(/^\n|\n$/g, "")));
    else for (const line of piece.split(/(?<=\n)/)) proseLine(line, block);
  });
  return block;
}

function proseLine(line, block) {
  const heading = /^#{1,6}[ \t]+(.*)/.exec(line);
  if (heading) {
    block.append(element("strong", { class: "heading" }, heading[1]));
    return;
  }
  for (const piece of line.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/)) {
    if (/^`.+`$/.test(piece)) block.append(element("code", {}, piece.slice(1, -1)));
    else if (/^\*\*.+\*\*$/.test(piece)) block.append(element("strong", {}, piece.slice(2, -2)));
    else block.append(piece);
  }
}

/** A message: {role, parts}, each part a text, a tool call, its response, or anything else. */
function message(value) {
  if (value === null || typeof value !== "object") return prose(String(value));
  const parts = Array.isArray(value.parts) ? value.parts : [value.content ?? value];
  return element("div", { class: "message" }, element("h3", {}, String(value.role ?? "message")), ...parts.map(messagePart));
}

function messagePart(part) {
  if (typeof part === "string") return prose(part);
  if (part === null || typeof part !== "object") return json(part);
  if (typeof part.content === "string") {
    const text = prose(part.content);
    return part.type === "text" ? text : section(String(part.type ?? "text"), text, false);
  }
  if (part.type === "tool_call") {
    return element("div", {}, element("h4", {}, `→ ${part.name}`), json(part.arguments ?? {}));
  }
  if (part.type === "tool_call_response") {
    const response = part.response ?? part.result;
    const shownAs = typeof response === "string" ? element("pre", {}, response) : json(response);
    return element("div", {}, element("h4", {}, "← result"), shownAs);
  }
  return json(part);
}

function lines(marked) {
  const signs = { "+": "added", "-": "removed", " ": "same", "…": "gap" };
  return element("pre", { class: "diff" }, ...marked.map(([sign, line]) => element("span", { class: signs[sign] }, `${line}\n`)));
}

/** The lines of a change, [sign, text], with a few of those around it that stayed. */
function changes(before, after) {
  const old = linesOf(before);
  const now = linesOf(after);
  let head = 0;
  while (head < Math.min(old.length, now.length) && old[head] === now[head]) head++;
  let tail = 0;
  const room = Math.min(old.length, now.length) - head;
  while (tail < room && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail++;
  const skipped = Math.max(0, head - CONTEXT);
  const left = Math.max(0, tail - CONTEXT);
  return [
    ...(skipped ? [["…", `… ${skipped} unchanged lines`]] : []),
    ...old.slice(skipped, head).map((line) => [" ", `  ${line}`]),
    ...compared(old.slice(head, old.length - tail), now.slice(head, now.length - tail)),
    ...now.slice(now.length - tail, now.length - left).map((line) => [" ", `  ${line}`]),
    ...(left ? [["…", `… ${left} unchanged lines`]] : []),
  ];
}

/** The lines of a text; what follows its last line break is a line only if there is something. */
function linesOf(text) {
  const found = text.split("\n");
  if (found.at(-1) === "") found.pop();
  return found;
}

/** A longest common subsequence of lines, found by the table that Wagner and Fischer gave. */
function compared(old, now) {
  if (old.length > MOST_COMPARED || now.length > MOST_COMPARED) {
    return [...old.map((line) => ["-", `- ${line}`]), ...now.map((line) => ["+", `+ ${line}`])];
  }
  const width = now.length + 1;
  const common = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      common[i * width + j] =
        old[i] === now[j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const found = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      found.push([" ", `  ${old[i++]}`]);
      j++;
    } else if (j >= now.length || (i < old.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      found.push(["-", `- ${old[i++]}`]);
    } else {
      found.push(["+", `+ ${now[j++]}`]);
    }
  }
  return found;
}
