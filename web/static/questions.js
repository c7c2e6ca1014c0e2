"use strict";
// One question after the other about a person: the next face is there at once, the answer is stored meanwhile.

(() => {
  // More are fetched when so few are left.
  const FEW = 8;
  const container = () => document.querySelector("[data-questions]");
  const all = () => [...(container()?.querySelectorAll("[data-question]") ?? [])];
  const open = () => all().filter((question) => !question.dataset.answered);
  let fetching = false;

  function showNext() {
    if (!container()) return;
    const [next] = open();
    for (const question of all()) question.hidden = question !== next;
    document.querySelector("[data-no-more]").hidden = Boolean(next) || !container().hasAttribute("data-loaded");
  }

  async function fetchMore() {
    const asking = container();
    if (!asking || fetching || open().length >= FEW) return;
    fetching = true;
    const asked = [...open(), ...all().filter((question) => question.dataset.answered).slice(-40)];
    const address = new URL(asking.dataset.more, location);
    for (const question of asked) address.searchParams.append("asked", question.dataset.question);
    try {
      await htmx.ajax("GET", address.pathname + address.search, { target: "#questions", swap: "beforeend" });
    } finally {
      fetching = false;
      asking.dataset.loaded = "";
      showNext();
      // The page was shown again meanwhile.
      if (asking !== container()) fetchMore();
    }
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    const question = event.detail.elt.closest?.("[data-question]");
    if (!question) return;
    question.dataset.answered = "1";
    showNext();
    container().focus({ preventScroll: true });
    fetchMore();
  });

  // It was not stored: it is asked again.
  document.addEventListener("htmx:sendError", (event) => {
    const question = event.detail.elt.closest?.("[data-question]");
    if (!question) return;
    delete question.dataset.answered;
    showNext();
  });

  // The page does not wait for them: whoever may be a person with thousands of faces is looked for long.
  document.addEventListener("page-shown", fetchMore);
  fetchMore();
})();
