// Owns the cards of the recordings that run or are on their way into the store: picture, age, upload, layout, stop.

import { recordingOf } from "./api.js";
import { byId, during, make, say, tell } from "./dom.js";
import { happened, wentWrong } from "./notices.js";
import { LAYOUTS, clock, failure, format, name, plural, upload } from "./words.js";

/** Names that are shown where the pointer rests on their number. */
const MOST_NAMES = 40;

const STATUS = {
  starting: "Starting",
  active: "Recording",
  stopping: "Stopping",
  uploading: "Uploading",
};

export class Running {
  #api;
  #previews;
  #onGone;
  #cards = new Map();
  #ticking;

  /** `onGone` is told the id of each recording that does not run any more. */
  constructor(api, previews, onGone) {
    this.#api = api;
    this.#previews = previews;
    this.#onGone = onGone;
    this.#ticking = setInterval(() => this.#tick(), 1000);
  }

  /** Shows what an answer of the list says. */
  show({ recordings, nextCursor }) {
    const seen = new Set(recordings.map(({ egressId }) => egressId));
    for (const [id, card] of this.#cards) {
      if (seen.has(id)) continue;
      this.#take(id, card);
      // On a list that is cut, one that is not there may only be further down.
      if (!nextCursor) this.#onGone(id);
    }
    for (const entry of recordings) this.#put(entry);
    byId("running-more").hidden = !nextCursor;
    this.#counted();
  }

  clear() {
    clearInterval(this.#ticking);
    for (const [id, card] of this.#cards) this.#take(id, card);
    this.#counted();
  }

  #put(entry) {
    let card = this.#cards.get(entry.egressId);
    if (!card) {
      card = new Card(this.#api, entry);
      this.#cards.set(entry.egressId, card);
      this.#inPlace(card);
      this.#watch(entry, card);
    }
    card.update(entry);
    if (!card.takesInMedia) this.#previews.remove(entry.egressId);
  }

  #watch({ egressId, options }, card) {
    this.#previews.add(egressId, card.frame, {
      show: options.audioOnly ? undefined : (picture) => card.picture(picture),
      fail: (problem) => card.noPicture(problem),
      people: (names) => card.people(names),
    });
  }

  /** Newest first, as the list is. */
  #inPlace(card) {
    const others = [...this.#cards.values()].filter((other) => other !== card && other.startedAt <= card.startedAt);
    const next = others.sort((one, two) => two.startedAt - one.startedAt)[0];
    byId("running-cards").insertBefore(card.element, next?.element ?? null);
  }

  #take(id, card) {
    this.#previews.remove(id);
    // Whoever is at work with the card is not to lose his place on the page.
    if (card.element.contains(document.activeElement)) byId("running-title").focus();
    card.remove();
    this.#cards.delete(id);
  }

  #counted() {
    say(byId("running-count"), this.#cards.size ? String(this.#cards.size) : "");
    byId("running-empty").hidden = this.#cards.size > 0;
  }

  #tick() {
    for (const card of this.#cards.values()) card.tick();
  }
}

class Card {
  #api;
  #entry;
  #picture = make("img", { alt: "", hidden: true, draggable: false });
  #status = make("span", { className: "status" });
  #age = make("time");
  #placeholder = make("span", { className: "placeholder", textContent: "Waiting for the first picture" });
  #facts = make("p", { className: "facts" });
  #upload = make("p", { className: "facts" });
  #progress = make("progress", { hidden: true, max: 1, ariaLabel: "Upload" });
  #trouble = make("p", { className: "warning", hidden: true });
  #layout = make("select", {}, ...LAYOUTS.map(([value, text]) => make("option", { value, textContent: text })));
  #stop = make("button", { type: "button", className: "danger", textContent: "Stop" });
  #controls;
  #people = null;

  constructor(api, entry) {
    this.#api = api;
    this.#entry = entry;
    this.startedAt = Date.parse(entry.startedAt);
    this.#build(entry);
  }

  get takesInMedia() {
    return this.#entry.status === "starting" || this.#entry.status === "active";
  }

  #build({ egressId, roomId }) {
    const title = make("h3", { id: `room-of-${egressId}`, textContent: roomId, dir: "auto" });
    const enlarge = make("button", {
      type: "button",
      className: "enlarge",
      ariaLabel: `Larger picture of ${roomId}`,
      ariaPressed: "false",
    });
    enlarge.append(this.#picture, this.#placeholder);
    enlarge.addEventListener("click", () => {
      const wide = this.element.classList.toggle("wide");
      enlarge.ariaPressed = String(wide);
      if (wide) this.element.scrollIntoView({ block: "nearest" });
    });
    this.frame = make("div", { className: "frame" }, enlarge, make("p", { className: "badge" }, this.#status, this.#age));
    this.#picture.alt = `Live picture of ${roomId}`;
    this.#controls = make("div", { className: "controls" }, this.#layout, this.#stop);
    this.#layout.ariaLabel = `Layout of ${roomId}`;
    this.#stop.ariaLabel = `Stop recording ${roomId}`;
    this.#layout.addEventListener("change", () => this.#changeLayout());
    this.#stop.addEventListener("click", () => askToStop(this.#api, this.#entry));
    const words = [title, make("p", { className: "id", textContent: egressId }), this.#facts, this.#upload];
    const body = make("div", { className: "card-body" }, ...words, this.#progress, this.#trouble, this.#controls);
    this.element = make("article", { className: "card", attributes: { "aria-labelledby": title.id } }, this.frame, body);
  }

  update(entry) {
    const was = this.#entry.options.layout;
    this.#entry = entry;
    say(this.#status, STATUS[entry.status]);
    this.element.dataset.status = entry.status;
    const { layout } = entry.options;
    if (this.#layout.value === "" || was !== layout || document.activeElement !== this.#layout) {
      this.#layout.value = layout.replace(/-dark$/, "");
    }
    this.#controls.hidden = !this.takesInMedia;
    this.#layout.hidden = Boolean(entry.options.audioOnly);
    if (entry.options.audioOnly) say(this.#placeholder, "Sound only: there is no picture");
    this.#showUpload(entry);
    if (!this.takesInMedia) this.#withoutPicture(entry.status === "uploading" ? "On its way into the store" : "Ending");
    this.tick();
  }

  /** What changes with the time alone. */
  tick() {
    const { startedAt, options, upload: progress } = this.#entry;
    const now = this.#api.now();
    say(this.#age, clock((now - Date.parse(startedAt)) / 1000));
    this.#age.dateTime = startedAt;
    const who = this.#people ? [plural(this.#people.length, "participant")] : [];
    say(this.#facts, [...who, format(options)].join(" · "));
    say(this.#upload, progress ? upload(progress, now) : "Nothing uploaded yet");
  }

  picture(blob) {
    const old = this.#picture.src;
    this.#picture.src = URL.createObjectURL(blob);
    this.#picture.hidden = false;
    this.#placeholder.hidden = true;
    if (old) URL.revokeObjectURL(old);
  }

  people(names) {
    this.#people = names;
    this.#facts.title = names.slice(0, MOST_NAMES).map(name).join(", ");
    this.tick();
  }

  noPicture(problem) {
    // The last one is better than none, for as long as the recording runs.
    if (!this.#picture.hidden) return;
    say(this.#placeholder, problem.status === 409 ? "Waiting for the first picture" : failure(problem));
  }

  remove() {
    if (this.#picture.src) URL.revokeObjectURL(this.#picture.src);
    this.element.remove();
  }

  #withoutPicture(text) {
    this.#picture.hidden = true;
    this.#placeholder.hidden = false;
    say(this.#placeholder, text);
  }

  #showUpload({ status, upload: progress }) {
    const trouble = progress?.trouble;
    tell(this.#trouble, trouble && `The upload waits: ${trouble.reason} (${plural(trouble.attempts, "attempt")}).`);
    const all = progress ? progress.storedBytes + progress.waitingBytes : 0;
    this.#progress.hidden = status !== "uploading" || all === 0;
    if (all > 0) this.#progress.value = progress.storedBytes / all;
  }

  async #changeLayout() {
    const { roomId } = this.#entry;
    try {
      await this.#api.patch(recordingOf(roomId), { layout: this.#layout.value });
      happened(`The layout of ${name(roomId)} is changed.`);
    } catch (problem) {
      this.#layout.value = this.#entry.options.layout.replace(/-dark$/, "");
      wentWrong(`The layout of ${name(roomId)} was not changed. ${failure(problem)}`);
    }
  }
}

function askToStop(api, { roomId }) {
  const [dialog, form, fault] = [byId("stop-dialog"), byId("stop-form"), byId("stop-fault")];
  say(byId("stop-room"), roomId);
  tell(fault, null);
  byId("stop-cancel").onclick = () => dialog.close();
  form.onsubmit = async (event) => {
    event.preventDefault();
    await during(byId("stop-send"), fault, async () => {
      try {
        await api.post(`${recordingOf(roomId)}/stop`);
        dialog.close();
        happened(`The recording of ${name(roomId)} is being stopped.`);
        document.dispatchEvent(new Event("egressd:changed"));
      } catch (problem) {
        tell(fault, failure(problem));
      }
    });
  };
  dialog.showModal();
}
