// The few lines that pages cannot do without a script. Every page works without them.
(() => {
  "use strict";
  document.documentElement.classList.add("scripted");

  // Times in the reader's own zone and language; the zone stands in the title.
  const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const localise = (within) => {
    for (const time of within.querySelectorAll("time[datetime]:not([data-local])")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.valueOf())) continue;
      time.textContent = shown.format(moment);
      time.title = whole.format(moment);
      time.dataset.local = "";
    }
  };

  // A menu closes on Escape, and when something else is chosen.
  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (menu !== except) menu.open = false;
    }
  };
  document.addEventListener("click", (event) => closeMenus(event.target.closest?.("details.menu")));
  document.addEventListener("focusin", (event) => closeMenus(event.target.closest?.("details.menu")));
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  document.addEventListener("DOMContentLoaded", () => localise(document));
  document.addEventListener("htmx:load", (event) => localise(event.detail.elt.parentElement ?? document));

  // Whose session has ended is asked to sign in on the whole page, not inside a part of it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const address = event.detail.xhr?.responseURL;
    if (address && new URL(address).pathname === "/sign-in") {
      event.detail.shouldSwap = false;
      window.location.reload();
    }
  });
})();
