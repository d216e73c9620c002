// Small helps for those who have scripts; every page works without them.
(() => {
  "use strict";
  // One box that ticks all boxes of its form.
  for (const all of document.querySelectorAll("input[data-all]")) {
    all.hidden = false;
    const boxes = () => [...all.form.querySelectorAll(`input[type=checkbox][name="${all.dataset.all}"]`)];
    all.addEventListener("change", () => boxes().forEach((box) => { box.checked = all.checked; }));
    all.form.addEventListener("change", () => {
      const ticked = boxes().filter((box) => box.checked).length;
      all.checked = ticked > 0 && ticked === boxes().length;
      all.indeterminate = ticked > 0 && ticked < boxes().length;
    });
  }
  // Whether this page is live. Said to screen readers only when it changes.
  const beat = document.getElementById("beat");
  if (!beat) return;
  const text = document.getElementById("beat-text");
  const say = (state, words) => {
    if (beat.dataset.state === state) return;
    beat.dataset.state = state;
    text.textContent = words;
  };
  document.addEventListener("htmx:sse:after:connection", () => say("live", "live"));
  document.addEventListener("htmx:sse:after:message", () => say("live", "live"));
  document.addEventListener("htmx:sse:error", () => say("lost", "connection lost"));
  document.addEventListener("visibilitychange", () => { if (document.hidden) say("paused", "paused"); });
})();
