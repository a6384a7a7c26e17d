// Owns the short messages about what happened, which screen readers read when they come.

import { byId, make } from "./dom.js";

/** Long enough to be read; what went wrong stays until it is taken away. */
const STAYS_MS = 8_000;

export function happened(text) {
  const notice = put(text, "good");
  setTimeout(() => notice.remove(), STAYS_MS);
}

export function wentWrong(text) {
  put(text, "bad");
}

export function clearNotices() {
  byId("notices").replaceChildren();
}

function put(text, mood) {
  const close = make("button", { type: "button", ariaLabel: "Dismiss", textContent: "×" });
  const notice = make("div", { className: `notice ${mood}` }, make("p", {}, text), close);
  close.addEventListener("click", () => notice.remove());
  byId("notices").append(notice);
  return notice;
}
