// Choose data set, metric, scale and methods, and join a method's rows in tables with its marks in figures.
"use strict";

(() => {
  const section = document.getElementById("explore");
  const select = (name) => document.getElementById(`choose-${name}`);
  const { methods, comparisons, metrics } = explorer.data;
  const byName = new Map(methods.map((method, place) => [method.name, place]));
  if (!comparisons.length) return;

  function fill(list, options, chosen) {
    list.replaceChildren(...options.map(([value, name]) => new Option(name, value, false, value === chosen)));
    list.closest("label").hidden = options.length < 2;
  }

  function titles(names) {
    return names.map((name) => [name, metrics[name].title]);
  }

  function showChoices() {
    const { final, seconds, curves } = explorer.shown, names = explorer.metrics();
    fill(select("metric"), titles(names), explorer.metric);
    fill(select("other"), titles(names.filter((name) => name in final && name !== explorer.metric)), explorer.other);
    select("scale").value = explorer.isLog ? "log" : "linear";
    select("scale").querySelector("[value=log]").disabled = !explorer.isPositive(explorer.metric);
    const isTimed = Object.keys(seconds).length > 0 && explorer.metric in curves;
    select("along").closest("label").hidden = !isTimed;
    select("along").value = explorer.alongSeconds ? "seconds" : "step";
    const present = new Set([...Object.values(final), ...Object.values(curves)].flatMap((rows) => rows.map((row) => row[0])));
    for (const label of section.querySelectorAll("[data-method]")) {
      label.hidden = !present.has(Number(label.dataset.method));
      label.querySelector("input").checked = !explorer.hidden.has(Number(label.dataset.method));
    }
    for (const group of section.querySelectorAll(".family")) group.hidden = !group.querySelector("[data-method]:not([hidden])");
  }

  function hide(places, isHidden) {
    for (const place of places) explorer.hidden[isHidden ? "add" : "delete"](place);
    explorer.choose({});
  }

  function legendEntry(place) {
    const label = document.createElement("label"), box = document.createElement("input"), swatch = document.createElement("i");
    Object.assign(box, { type: "checkbox", checked: true });
    swatch.style.background = methods[place].colour;
    label.dataset.method = place;
    label.append(box, swatch, methods[place].name);
    box.addEventListener("change", () => hide([place], !box.checked));
    box.addEventListener("focus", () => explorer.pointAt(place));
    box.addEventListener("blur", () => explorer.pointAt(null));
    return label;
  }

  function button(text, work) {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    made.addEventListener("click", work);
    return made;
  }

  /** One group of check boxes for each family of methods; of few methods, one for all. */
  function makeLegend() {
    const all = methods.map((_, place) => place), legend = section.querySelector(".legend");
    legend.append(button("show all", () => hide(all, false)), button("hide all", () => hide(all, true)));
    legend.classList.toggle("long", methods.length > 60);
    const families = new Map();
    for (const place of all) {
      const family = methods.length > 8 ? methods[place].family : "";
      families.set(family, [...(families.get(family) ?? []), place]);
    }
    for (const [family, places] of families) {
      const group = document.createElement("div");
      group.className = "family";
      if (family) {
        const toggle = button(family, () => hide(places, !places.every((place) => explorer.hidden.has(place))));
        toggle.title = "Hide or show the family";
        group.append(toggle);
      }
      group.append(...places.map(legendEntry));
      legend.append(group);
    }
  }

  /** Give each row of a table that is of a method the method's place. */
  function linkRows() {
    for (const table of document.querySelectorAll("table.sortable")) {
      const heads = [...table.tHead.rows].at(-1).cells;
      const column = [...heads].findIndex((head) => ["Constraint", "Method"].includes(head.textContent.trim()));
      if (column < 0) continue;
      for (const row of table.tBodies[0].rows) {
        const name = row.cells[column].textContent.trim();
        const place = byName.get(name) ?? byName.get(name.split(", ")[0]);
        if (place !== undefined) row.dataset.method = place;
      }
    }
  }

  function markRows() {
    const chosen = String(explorer.highlighted);
    for (const one of document.querySelectorAll("[data-method]")) one.classList.toggle("linked", one.dataset.method === chosen);
  }

  function methodAt(target) {
    const found = target instanceof Element && target.closest("[data-method]");
    return found ? Number(found.dataset.method) : null;
  }

  comparisons.forEach((one, place) => select("comparison").add(new Option(one.title, place)));
  select("comparison").closest("label").hidden = comparisons.length < 2;
  select("comparison").addEventListener("change", (event) => explorer.choose({ comparison: Number(event.target.value) }));
  select("metric").addEventListener("change", (event) => explorer.choose({ metric: event.target.value }));
  select("other").addEventListener("change", (event) => explorer.choose({ other: event.target.value }));
  select("scale").addEventListener("change", (event) => explorer.choose({ isLog: event.target.value === "log" }));
  select("along").addEventListener("change", (event) => explorer.choose({ alongSeconds: event.target.value === "seconds" }));

  document.addEventListener("mouseover", (event) => {
    if (!(event.target instanceof HTMLCanvasElement)) explorer.pointAt(methodAt(event.target));
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("td") && methodAt(event.target) !== null) explorer.pin(methodAt(event.target));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && explorer.pinned !== null) explorer.pin(explorer.pinned);
  });

  makeLegend();
  linkRows();
  explorer.listeners.choice.push(showChoices);
  explorer.listeners.highlight.push(markRows);
  section.hidden = false;
  document.querySelector("nav [href='#explore']").hidden = false;
  explorer.choose({ comparison: 0 });
})();
