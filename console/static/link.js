// Tells that a person is there, because mail scanners open links too. Everything on these pages works without it.
"use strict";
(() => {
  const address = document.body.dataset.link;
  const told = new Set();
  const once = (what) => (event) => {
    if (event.isTrusted && !told.has(what)) {
      told.add(what);
      navigator.sendBeacon(`${address}/${what}`);
    }
  };
  for (const kind of ["pointerdown", "keydown", "wheel", "touchstart"]) {
    addEventListener(kind, once("opened"), { capture: true, passive: true });
  }
  // Only the form with the person's own data counts as started, not the question before it.
  document.querySelector(`form[action="${address}"]`)?.addEventListener("input", once("started"));
  document.querySelector(".problems")?.focus();
})();
