"use strict";
// The field in which people are found while their name is typed: a combobox with a list (WAI-ARIA Authoring Practices).
// htmx fetches the options. Enter takes the option that is marked, and waits for the options of what was typed last.

(() => {
  const fieldOf = (element) => element.closest("[data-person-field]");
  const inputOf = (field) => field.querySelector("[role=combobox]");
  const listOf = (field) => field.querySelector("[role=listbox]");
  const chosenOf = (field) => field.querySelector("[name=label_id]");
  const marked = (field) => listOf(field).querySelector("[aria-selected=true]");
  const typed = (field) => inputOf(field).value.trim().split(/\s+/).join(" ");
  const isUpToDate = (field) => !listOf(field).hidden && listOf(field).dataset.typed === typed(field);

  function open(field, isOpen) {
    listOf(field).hidden = !isOpen;
    inputOf(field).setAttribute("aria-expanded", String(isOpen));
    mark(field, isOpen ? marked(field) : null);
  }

  function mark(field, option) {
    for (const other of listOf(field).children) other.setAttribute("aria-selected", String(other === option));
    if (option) {
      inputOf(field).setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      inputOf(field).removeAttribute("aria-activedescendant");
    }
  }

  function choose(field, option) {
    if (!option) return;
    const input = inputOf(field);
    chosenOf(field).value = option.dataset.label;
    input.value = option.dataset.name;
    open(field, false);
    delete field.dataset.waits;
    if (input.hasAttribute("data-submits")) {
      input.blur();
      input.form.requestSubmit();
    }
  }

  document.addEventListener("input", (event) => {
    const field = fieldOf(event.target);
    if (!field) return;
    chosenOf(field).value = "";
    delete field.dataset.waits;
    delete field.dataset.moved;
    if (!typed(field)) open(field, false);
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const list = event.detail.target;
    if (!list.matches("[role=listbox]")) return;
    const field = fieldOf(list);
    list.dataset.typed = (new URL(event.detail.xhr.responseURL).searchParams.get("typed") || "").trim().split(/\s+/).join(" ");
    const isWanted = typed(field) !== "" && !chosenOf(field).value && document.activeElement === inputOf(field);
    open(field, isWanted && list.children.length > 0);
    // Options of what was typed last: whom the arrows have marked meanwhile stays marked.
    const moved = [...list.children].find((option) => option.dataset.label === field.dataset.moved);
    if (isWanted && moved) mark(field, moved);
    if (field.dataset.waits && isUpToDate(field)) choose(field, marked(field));
  });

  document.addEventListener("keydown", (event) => {
    const field = event.target.matches("[role=combobox]") && fieldOf(event.target);
    if (!field || event.isComposing) return;
    const options = [...listOf(field).children];
    const at = options.indexOf(marked(field));
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!options.length || listOf(field).hidden) return;
      const step = event.key === "ArrowDown" ? 1 : -1;
      const option = options[(at + step + options.length) % options.length];
      mark(field, option);
      field.dataset.moved = option.dataset.label;
    } else if (event.key === "Enter") {
      if (chosenOf(field).value) return;
      event.preventDefault();
      if (isUpToDate(field)) choose(field, marked(field));
      else if (typed(field)) field.dataset.waits = "1";
    } else if (event.key === "Escape" && !listOf(field).hidden) {
      event.preventDefault();
      event.target.value = "";
      open(field, false);
    }
  });

  document.addEventListener("mousedown", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) {
      event.preventDefault();
      choose(fieldOf(option), option);
    }
  });

  document.addEventListener("focusout", (event) => {
    const field = event.target.matches?.("[role=combobox]") && fieldOf(event.target);
    if (field) open(field, false);
  });
})();
