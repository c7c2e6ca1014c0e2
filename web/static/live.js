"use strict";
// What happens while the page is open: how far the detection is, and that what is shown has changed.

(() => {
  const progress = document.getElementById("progress");
  const news = document.getElementById("news");
  let source = null;

  function listen() {
    source?.close();
    news.replaceChildren();
    const { watch = "", cluster = "", seen = "", face = "", last = "", self = "" } = desk.page()?.dataset ?? {};
    const what = new URLSearchParams({ watch, cluster, seen, face, last });
    // Of an empty queue: what was skipped is nothing new.
    if (watch === "queue") new URL(self, location).searchParams.getAll("skip").forEach((it) => what.append("skip", it));
    source = new EventSource("/events?" + what);
    source.addEventListener("progress", (event) => (progress.textContent = event.data));
    source.addEventListener("news", (event) => announce(JSON.parse(event.data)));
  }

  function announce({ text, reload }) {
    // What this tab itself has just decided is shown anyway.
    if (desk.isBusy()) return;
    if (reload) {
      desk.showAgain();
      return;
    }
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: document.body.dataset.showIt });
    button.dataset.reload = "";
    news.replaceChildren(text + " ", button);
  }

  document.addEventListener("page-shown", listen);
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
  listen();
})();
