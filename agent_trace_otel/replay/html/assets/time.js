// The stretch of time that the bars are drawn for, in milliseconds since the first row.
"use strict";

const SHORTEST = 0.01; // milliseconds that can fill the page
const whole = wholeTime();
const view = { from: whole.from, to: whole.to };
const TICKS = 6;
const CLOCK_STEPS = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400].map((size) => size * 1000);

function wholeTime() {
  let to = session.duration;
  for (const row of rows) to = Math.max(to, endOf(row));
  return { from: 0, to: Math.max(to * 1.005, 1) };
}

/** Show from one time to another, kept within the session. */
function show(from, to) {
  const length = Math.min(Math.max(to - from, SHORTEST), whole.to - whole.from);
  view.from = Math.min(Math.max(from, whole.from), whole.to - length);
  view.to = view.from + length;
}

/** Zoom by a factor around a time; above 1 shows less of it. */
function zoom(factor, around = (view.from + view.to) / 2) {
  show(around - (around - view.from) / factor, around + (view.to - around) / factor);
}

/** Where a time lies, in per cent of the width. */
function place(time) {
  return ((time - view.from) / (view.to - view.from)) * 100;
}

/** Round times, about TICKS of them. */
function ticks() {
  const rough = (view.to - view.from) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const steps = rough > 10e3 ? CLOCK_STEPS : [1, 2, 5, 10].map((step) => step * power);
  const step = steps.find((size) => size >= rough) ?? Math.ceil(rough / 86400e3) * 86400e3;
  const found = [];
  for (let time = Math.ceil(view.from / step) * step; time < view.to; time += step) found.push(time);
  return { step, times: found };
}

/** A tick's time, as exact as the ticks are close. */
function tickText(time, step) {
  if (step < 1000) return time < 1000 || step < 1 ? `${+time.toFixed(step < 1 ? 2 : 0)}ms` : `${+(time / 1000).toFixed(3)}s`;
  const seconds = Math.round(time / 100) / 10;
  if (seconds < 60) return `${seconds}s`;
  const rest = +(seconds % 60).toFixed(1);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${rest ? `${rest}s` : ""}`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}
