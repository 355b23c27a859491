// Tables: what a cell is sorted by, a field above each long table that filters its rows, and folded parts that a link opens.
"use strict";

(() => {
  const FEWEST_ROWS = 4;

  /** The number that a cell begins with, ∞, or an empty text; of (1.5 ± 0.2)e-07 it is 1.5e-07. */
  function sortValue(cell) {
    const text = cell.textContent.trim().replace(/^[≥≤<>~≈ ]+/, "").replace("−", "-");
    if (text.startsWith("∞")) return "Infinity";
    const found = /^\(?([-+]?\d[\d.]*(?:e[-+]?\d+)?)/.exec(text);
    if (!found) return "";
    const shared = text.startsWith("(") ? /\)(e[-+]?\d+)/.exec(text) : null;
    return found[1] + (shared ? shared[1] : "");
  }

  function addFilter(table, rows) {
    const field = Object.assign(document.createElement("input"), { type: "search", placeholder: "filter rows" });
    const count = document.createElement("output"), bar = document.createElement("div");
    field.setAttribute("aria-label", "Show the rows of this table that hold all of these words");
    bar.className = "filter";
    bar.append(field, count);
    table.closest(".scroll").before(bar);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const cell of table.querySelectorAll("tbody td.number")) cell.dataset.sort = sortValue(cell);
    const rows = [...table.tBodies[0].rows];
    if (rows.length >= FEWEST_ROWS) addFilter(table, rows);
  }

  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let one = target; one; one = one.parentElement) if (one instanceof HTMLDetailsElement) one.open = true;
    target?.scrollIntoView();
  }
  addEventListener("hashchange", openTarget);
  if (location.hash) openTarget();
})();
