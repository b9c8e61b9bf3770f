// What a page does in the browser: keys, the selection, local times, copying. Without it every page
// works all the same.
(() => {
  "use strict";
  let root; // the way to the console's root, on pages of who is signed in
  const all = (selector, where = document) => [...where.querySelectorAll(selector)];

  // Times are UTC, or local where this browser was told so.
  const kept = { get: () => localStorage.getItem("clock"), set: (to) => localStorage.setItem("clock", to) };
  const showTimes = (where = document) => {
    const local = kept.get() === "local";
    for (const time of all("time[datetime]", where)) {
      const at = new Date(time.dateTime);
      const shown = local ? new Date(at.getTime() - at.getTimezoneOffset() * 60000) : at;
      const text = shown.toISOString().slice(0, 19).replace("T", " ");
      time.textContent = local ? text : `${text} UTC`;
      time.title = local ? `${at.toISOString().slice(0, 19)}Z` : at.toString();
    }
    for (const button of all("[data-clock]")) {
      button.textContent = local ? "Show UTC times" : "Show local times";
    }
  };

  // The row that j and k are at, and what is selected.
  let at = -1;
  const rows = () => all("[data-row]");
  const goTo = (next) => {
    const found = rows();
    if (!found.length) return;
    at = Math.max(0, Math.min(found.length - 1, next));
    found.forEach((row, number) => row.classList.toggle("at", number === at));
    found[at].scrollIntoView({ block: "nearest" });
    found[at].querySelector("a")?.focus({ preventScroll: true });
  };
  const countSelected = () => {
    const count = all("[data-row] input[name=ids]:checked").length;
    for (const label of all("[data-selected]")) {
      label.textContent = count ? `the ${count} row${count === 1 ? "" : "s"} selected` : "the rows selected";
    }
  };

  const keys = {
    j: () => goTo(at + 1),
    k: () => goTo(at - 1),
    x: () => {
      const box = rows()[at]?.querySelector("input[name=ids]");
      if (box) { box.click(); }
    },
    r: () => document.querySelector("#rows button[value=republish]:not(:disabled)")?.click(),
    "/": () => {
      const field = document.querySelector("main input[type=search]");
      if (field) { field.focus(); field.select(); } else { location.assign(`${root}envelopes`); }
    },
    "?": () => location.assign(`${root}help`),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest?.("input:not([type=checkbox]):not([type=radio]), select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "Enter" && event.target.matches?.("[data-row] input")) {
      event.preventDefault(); // it opens the row, and posts no form
      event.target.closest("[data-row]").querySelector("a")?.click();
    } else if (root !== undefined && keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.name === "ids") countSelected();
  });
  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (event.target.closest("[data-clock]")) {
      kept.set(kept.get() === "local" ? "utc" : "local");
      showTimes();
    } else if (copy) {
      const text = document.getElementById(copy.dataset.copy);
      try {
        await navigator.clipboard.writeText(text.textContent);
        copy.textContent = "Copied";
      } catch {
        // Without HTTPS a browser gives no clipboard: it is marked, and Ctrl-C copies it.
        getSelection().selectAllChildren(text);
        copy.textContent = "Marked: press Ctrl-C";
      }
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    root = document.body.dataset.root;
    showTimes();
    countSelected();
  });
  // What is live says when it is not.
  const stale = (is) => all("[data-stale]").forEach((note) => { note.hidden = !is; });
  for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(name, () => stale(true));
  }
  document.addEventListener("htmx:beforeSwap", (event) => {
    // Nothing moves under the pointer, nor away from the focus.
    if (document.querySelector("[data-row]:is(:hover, :focus-within)")) event.detail.shouldSwap = false;
  });
  document.addEventListener("htmx:afterSwap", () => { stale(false); showTimes(); });
})();
