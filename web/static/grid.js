"use strict";
// Grids of faces: arrows move, with one stop for the Tab key; boxes are selected singly, in a range, or all.

(() => {
  const ITEMS = "input[type=checkbox], a.tile, a.card";
  const gridOf = (element) => element.closest("[data-grid], [data-roving]");
  const items = (grid) => [...grid.querySelectorAll(ITEMS)];
  const boxes = () => [...document.querySelectorAll("[data-grid] input[type=checkbox]")];
  let anchor = null;

  function rove() {
    for (const grid of document.querySelectorAll("[data-grid], [data-roving]")) {
      items(grid).forEach((item, number) => (item.tabIndex = number ? -1 : 0));
    }
    anchor = null;
    count();
  }

  function moveTo(grid, item) {
    for (const other of items(grid)) other.tabIndex = -1;
    item.tabIndex = 0;
    item.focus();
  }

  function count() {
    const output = document.getElementById("selected");
    if (!output) return;
    const selected = boxes().filter((box) => box.checked).length;
    output.textContent = output.dataset.selectedText.replace("{}", selected);
    if (selected) document.getElementById("nobody-selected").hidden = true;
  }

  function selectRange(to, checked) {
    const all = boxes();
    const [first, last] = [all.indexOf(anchor ?? to), all.indexOf(to)].sort((one, other) => one - other);
    for (const box of all.slice(Math.max(first, 0), last + 1)) box.checked = checked;
  }

  document.addEventListener("keydown", (event) => {
    const grid = event.target.matches(ITEMS) && gridOf(event.target);
    if (!grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = items(grid);
    const at = all.indexOf(event.target);
    const target = all[at + step(event.key, all, at)];
    if (target && target !== event.target) {
      event.preventDefault();
      if (event.shiftKey && target.type === "checkbox") {
        anchor ??= event.target;
        selectRange(target, true);
      }
      moveTo(grid, target);
      count();
    } else if (event.key === " " && event.shiftKey && event.target.type === "checkbox") {
      event.preventDefault();
      selectRange(event.target, true);
      count();
    }
  });

  function step(key, all, at) {
    if (key === "ArrowRight") return 1;
    if (key === "ArrowLeft") return -1;
    if (key === "Home") return -at;
    if (key === "End") return all.length - 1 - at;
    if (key !== "ArrowDown" && key !== "ArrowUp") return 0;
    // The item of the next row that is nearest across.
    const here = all[at].getBoundingClientRect();
    const rows = all
      .map((item, number) => ({ number, place: item.getBoundingClientRect() }))
      .filter(({ place }) => (key === "ArrowDown" ? place.top > here.top + 5 : place.top < here.top - 5));
    const nearestRow = rows.reduce((best, { place }) => {
      const away = Math.abs(place.top - here.top);
      return Math.min(best, away);
    }, Infinity);
    const inRow = rows.filter(({ place }) => Math.abs(Math.abs(place.top - here.top) - nearestRow) < 5);
    inRow.sort((one, other) => Math.abs(one.place.left - here.left) - Math.abs(other.place.left - here.left));
    return inRow.length ? inRow[0].number - at : 0;
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-select-all]")) boxes().forEach((box) => (box.checked = true));
    if (event.target.closest("[data-select-none]")) boxes().forEach((box) => (box.checked = false));
    const box = event.target.matches("[data-grid] input[type=checkbox]") ? event.target : null;
    if (box) {
      if (event.shiftKey) selectRange(box, box.checked);
      else anchor = box;
    }
    count();
  });

  // The selected faces go with the form.
  document.addEventListener(
    "submit",
    (event) => {
      if (!event.target.matches("form.of-selected")) return;
      event.target.querySelectorAll(".picked").forEach((field) => field.remove());
      const selected = boxes().filter((box) => box.checked);
      for (const box of selected) {
        const field = document.createElement("input");
        Object.assign(field, { type: "hidden", name: "face", value: box.value, className: "picked" });
        event.target.append(field);
      }
      if (!selected.length) {
        event.preventDefault();
        event.stopPropagation();
        document.getElementById("nobody-selected").hidden = false;
      }
    },
    true,
  );

  document.addEventListener("page-shown", rove);
  rove();
})();
