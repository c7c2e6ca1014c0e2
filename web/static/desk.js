"use strict";
// Keys, undo, dialogs and focus, on every page. What is shown and stored is up to the server.
//
// A form or link with data-key="Enter 1" is used by these keys. A page with data-self is shown again from there after a
// decision; one with data-stream goes on by itself (questions.js).

(() => {
  const part = document.getElementById("part");
  const answer = document.getElementById("answer");
  const refusal = document.getElementById("refusal");
  const help = document.getElementById("help");

  const page = () => part.querySelector("[data-page]");
  const isField = (element) =>
    element.matches("input:not([type=checkbox]):not([type=button]):not([type=submit]), textarea, select");
  const isControl = (element) => element.closest("a[href], button, summary, label, input");

  // ---- Showing the page again

  let busy = false;
  let undoIsWanted = false;

  function setBusy(isBusy) {
    busy = isBusy;
    if (!busy && undoIsWanted) undo();
  }

  let isShowing = false;

  async function show(address) {
    setBusy(true);
    isShowing = true;
    try {
      await htmx.ajax("GET", address, { target: "#part", swap: "innerHTML" });
    } finally {
      isShowing = false;
      setBusy(false);
    }
  }

  const showAgain = () => (page() ? show(page().dataset.self) : Promise.resolve());

  // ---- Undo: the decisions made in this tab, those of one answer together

  const undoable = () => JSON.parse(sessionStorage.getItem("undoable") || "[]");
  const keepUndoable = (made) => sessionStorage.setItem("undoable", JSON.stringify(made.slice(-200)));

  function undo() {
    undoIsWanted = busy;
    if (busy) return;
    const last = undoable().pop();
    if (!last) {
      say(document.body.dataset.nothingToUndo);
      return;
    }
    setBusy(true);
    htmx.ajax("POST", "/decisions", { target: "#answer", values: { kind: "undone", decision: last } }).finally(() => {
      if (!isShowing) setBusy(false);
    });
  }

  document.body.addEventListener("decided", (event) => {
    const { kind, decisions, undone, faces } = event.detail;
    refusal.close();
    const left = undoable().map((made) => made.filter((id) => !undone.includes(id))).filter((made) => made.length);
    keepUndoable(kind === "undone" || !decisions.length ? left : [...left, decisions]);
    const isNext = page()?.dataset.page === "next";
    if (kind === "undone" && isNext && faces.length) {
      show("/next?face=" + encodeURIComponent(faces[0]));
    } else if (kind === "undone" || !page()?.hasAttribute("data-stream") || !event.target.closest("[data-question]")) {
      showAgain();
    }
  });

  function say(text) {
    answer.textContent = text;
  }

  // ---- What htmx does

  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.detail.elt;
    if (!form.matches("form.decide") || form.closest("[data-question]")) return;
    // A key pressed twice is not to decide about a face that was not seen yet.
    if (busy) event.preventDefault();
    else setBusy(true);
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.detail.elt;
    if (form.matches("form.decide") && !event.detail.successful) setBusy(false);
  });

  // What renews itself goes on, and says no more once it is answered.
  const { offline, sentAgain } = document.body.dataset;
  document.addEventListener("htmx:sendError", (event) =>
    say(event.detail.elt.hasAttribute("data-renewed") ? offline : sentAgain),
  );
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.elt.hasAttribute("data-renewed") && answer.textContent === offline) say("");
  });

  let focused = "";
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target === part) focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === refusal) {
      setBusy(false);
      refusal.showModal();
    } else if (event.detail.target === part) {
      keepFocus();
      document.dispatchEvent(new CustomEvent("page-shown"));
    }
  });

  function keepFocus() {
    const same = focused && document.getElementById(focused);
    const element = same || part.querySelector("[data-focus]");
    if (element && document.activeElement !== element) element.focus({ preventScroll: Boolean(same) });
    const heading = part.querySelector("h1");
    if (heading) document.title = `${heading.textContent.trim()} – Facestream`;
  }

  // ---- Keys

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const inField = isField(event.target);
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
      if (inField && event.target.value) return;
      event.preventDefault();
      undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (inField) {
      if (event.key === "Escape") part.querySelector("[data-focus]")?.focus();
      return;
    }
    if (event.key === "?") {
      event.preventDefault();
      help.showModal();
      return;
    }
    if ((event.key === "Enter" || event.key === " ") && isControl(event.target)) return;
    const control = controlOf(event.key);
    if (control) {
      event.preventDefault();
      if (!event.repeat) use(control);
    } else if (/^\p{L}$/u.test(event.key)) {
      // The letter arrives in the field, because that has the focus by then.
      part.querySelector(".naming [role=combobox]")?.focus();
    }
  });

  function controlOf(key) {
    const controls = [...part.querySelectorAll("[data-key]")];
    return controls.find((it) => it.dataset.key.split(" ").includes(key) && it.offsetParent !== null);
  }

  function use(control) {
    if (control.matches("form")) control.requestSubmit();
    else control.click();
  }

  // ---- Buttons

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.hasAttribute("data-help")) help.showModal();
    if (button.hasAttribute("data-undo")) undo();
    if (button.hasAttribute("data-reload")) showAgain();
  });

  window.desk = { page, showAgain, isField, isBusy: () => busy, part };
})();
