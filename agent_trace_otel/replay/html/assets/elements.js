// What every part of the page uses: elements made of text, never of HTML, and numbers as people read them.
"use strict";

function byId(id) {
  return document.getElementById(id);
}

/** Make an element; children are elements or text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** 51ms, 3.60s, 1m52.5s, 3h05m */
function duration(milliseconds) {
  if (milliseconds < 1) return milliseconds > 0 ? "<1ms" : "0ms";
  if (milliseconds < 999.5) return `${Math.round(milliseconds)}ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 59.995) return `${seconds.toFixed(2)}s`;
  const minutes = Math.floor((seconds + 0.05) / 60);
  if (minutes < 60) return `${minutes}m${Math.max(0, seconds - minutes * 60).toFixed(1).padStart(4, "0")}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}

function number(value) {
  return value.toLocaleString("en-US");
}

function dollars(value) {
  return `$${value < 1 ? value.toFixed(4) : value.toFixed(2)}`;
}

/** Run something once before the next frame, however often it is asked for. */
function beforeFrame(run) {
  let isWaiting = false;
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      run();
    });
  };
}
