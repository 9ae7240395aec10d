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

  // An upload shows how far it is, may be dropped on the page, and is not begun when it is too large.
  const one = (id) => document.getElementById(id);
  const problem = (sentence) => {
    const place = one("upload-problem");
    place.replaceChildren();
    if (!sentence) return;
    const said = document.createElement("p");
    said.className = "notice bad";
    said.textContent = sentence;
    place.append(said);
  };
  const size = (bytes) => (bytes >= 1e6 ? `${Math.round(bytes / 1e6)} MB` : `${Math.ceil(bytes / 1e3)} kB`);
  const isTooLarge = (input) => {
    const file = input.files[0];
    const most = Number(input.dataset.most);
    if (!file || file.size <= most) return false;
    problem(
      `The file has ${size(file.size)}; at most ${size(most)} can be uploaded. ` +
        "Split the list, or delete columns that are not needed.",
    );
    return true;
  };
  const chosen = (input) => {
    problem("");
    if (input.files[0]) one("file-name").value = input.files[0].name;
    isTooLarge(input);
  };
  document.addEventListener("change", (event) => {
    if (event.target.id === "file") chosen(event.target);
  });
  const holdsFiles = (event) => one("file") && event.dataTransfer?.types.includes("Files");
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      document.documentElement.classList.toggle("dropping", kind === "dragenter" || kind === "dragover");
      if (kind !== "drop") return;
      if (event.dataTransfer.files.length !== 1) {
        problem("Drop one file at a time.");
        return;
      }
      one("file").files = event.dataTransfer.files;
      chosen(one("file"));
    });
  }
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id !== "upload") return;
    if (isTooLarge(one("file"))) {
      event.preventDefault();
      return;
    }
    problem("");
    one("upload-progress").hidden = false;
  });
  document.addEventListener("htmx:xhr:progress", (event) => {
    const bar = one("upload-bar");
    if (!bar || event.target.id !== "upload" || !event.detail.lengthComputable) return;
    const share = Math.round((100 * event.detail.loaded) / event.detail.total);
    bar.value = share;
    one("upload-share").textContent = `${share} %`;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt.id !== "upload") return;
    if (event.detail.xhr.status === 204) return;
    one("upload-progress").hidden = true;
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig?.elt.id !== "upload" || event.detail.xhr.status < 400) return;
    // Refused before the page's own route was asked; that answers in the place for it.
    event.detail.shouldSwap = false;
    const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
    problem(page.querySelector("main p:not(.quiet)")?.textContent ?? "The upload was refused. Load this page again, then repeat it.");
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (event.detail.elt.id === "upload") {
      problem("The upload broke off. Check the connection, then press Next again.");
    }
  });
})();
