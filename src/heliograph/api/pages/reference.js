// The page is whole without this: it only leaves out what a filter does not name.
"use strict";

const box = document.getElementById("filter");
const told = document.getElementById("filtered");
const rows = [...document.querySelectorAll("main details")].map((row) => ({
  row,
  words: `${row.dataset.words ?? ""} ${row.querySelector("summary").textContent}`.toLowerCase(),
}));
const sections = [...document.querySelectorAll("main section")].filter((section) =>
  section.querySelector("details"),
);

function filter() {
  const wanted = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { row, words } of rows) {
    row.hidden = !wanted.every((word) => words.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  for (const section of sections) {
    section.hidden = !section.querySelector("details:not([hidden])");
  }
  told.textContent = wanted.length ? `${shown} of ${rows.length} are shown` : "";
}

function clear() {
  box.value = "";
  filter();
}

// A link within the page leads to what is folded, or left out.
function open() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const row = target.closest("details");
  if (target.closest("[hidden]")) clear();
  if (row) row.open = true;
  target.scrollIntoView();
}

document.getElementById("filtering").hidden = false;
box.addEventListener("input", filter);
window.addEventListener("hashchange", open);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== box && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    box.focus();
    box.select();
  } else if (event.key === "Escape" && document.activeElement === box) {
    clear();
  } else if (event.key === "Enter" && document.activeElement === box) {
    const first = rows.find(({ row }) => !row.hidden);
    event.preventDefault(); // or it would close again what it opens
    if (!first) return;
    first.row.open = true;
    first.row.querySelector("summary").focus();
  }
});
filter(); // what a browser has kept of the box
open();
