// The whole session in one strip, the window of time in it, and the ruler above the bars.
"use strict";

const overview = byId("overview");
const canvas = overview.querySelector("canvas");
const windowMark = byId("window");
const axis = byId("axis");
const SMALLEST_DRAG = 4; // pixels; less is a click

const drawTime = beforeFrame(() => {
  const { from, to } = whole;
  const per = 100 / (to - from);
  windowMark.style.left = `${(view.from - from) * per}%`;
  windowMark.style.width = `${(view.to - view.from) * per}%`;
  windowMark.hidden = view.from <= from && view.to >= to;
  const { step, times } = ticks();
  axis.replaceChildren(
    ...times.map((time) => {
      const tick = element("span", { class: "tick" }, tickText(time, step));
      tick.style.left = `${place(time)}%`;
      return tick;
    }),
  );
  redrawList();
});

/** Draw every row as a thin line, coloured by its kind; those that failed last, so that they are seen. */
const drawOverview = beforeFrame(() => {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(overview.clientWidth * ratio));
  const height = Math.max(1, Math.round(overview.clientHeight * ratio));
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const colours = coloursOfKinds();
  const scale = width / (whole.to - whole.from);
  const thickness = Math.max(ratio, height / Math.max(rows.length, 1) / 1.4);
  for (const isFailed of [false, true]) {
    for (const row of rows) {
      if (row.failed !== (isFailed ? 1 : 0)) continue;
      const y = (row.index / rows.length) * (height - thickness);
      context.fillStyle = isFailed ? colours.failed : colours[row.kind];
      context.fillRect(row.start * scale, y, Math.max((endOf(row) - row.start) * scale, ratio), thickness);
    }
  }
});

/** What style.css says, as a canvas wants it. */
function coloursOfKinds() {
  const probe = element("span", { hidden: "" });
  document.body.append(probe);
  const found = {};
  for (const kind of [...new Set(rows.map((row) => row.kind)), "failed"]) {
    probe.style.color = `var(--${kind})`;
    found[kind] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

function zoomToRow(row) {
  const length = Math.max(endOf(row) - row.start, (whole.to - whole.from) / 2000);
  show(row.start - length * 0.1, row.start + length * 1.2);
  drawTime();
}

/** Move the window of time to a row that lies outside it. */
function bringIntoTime(row) {
  if (endOf(row) >= view.from && row.start <= view.to) return;
  const length = view.to - view.from;
  show(row.start - length * 0.1, row.start + length * 0.9);
  drawTime();
}

function fit() {
  show(whole.from, whole.to);
  drawTime();
}

function timeAt(event, box) {
  const share = (event.clientX - box.left) / Math.max(box.width, 1);
  return { share: Math.min(Math.max(share, 0), 1), of: (time) => time.from + share * (time.to - time.from) };
}

overview.addEventListener("pointerdown", (down) => {
  const box = overview.getBoundingClientRect();
  const began = timeAt(down, box).share;
  overview.setPointerCapture(down.pointerId);
  const drag = (event) => {
    if (Math.abs(event.clientX - down.clientX) < SMALLEST_DRAG) return;
    const now = timeAt(event, box).share;
    const length = whole.to - whole.from;
    show(whole.from + Math.min(began, now) * length, whole.from + Math.max(began, now) * length);
    drawTime();
  };
  overview.addEventListener("pointermove", drag);
  overview.addEventListener("lostpointercapture", () => overview.removeEventListener("pointermove", drag), {
    once: true,
  });
});
overview.addEventListener("dblclick", fit);

scroller.addEventListener(
  "wheel",
  (event) => {
    const isZoom = event.ctrlKey || event.metaKey;
    const pans = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (!isZoom && Math.abs(pans) <= Math.abs(event.shiftKey ? 0 : event.deltaY)) return;
    event.preventDefault();
    if (isZoom) zoom(Math.exp(-event.deltaY / 300), timeAt(event, axis.getBoundingClientRect()).of(view));
    else {
      const by = (pans / 800) * (view.to - view.from);
      show(view.from + by, view.to + by);
    }
    drawTime();
  },
  { passive: false },
);

new ResizeObserver(() => {
  drawOverview();
  redrawList();
}).observe(scroller);
