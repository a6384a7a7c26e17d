// Owns the list of the recordings that have ended: pages, filter, player, download, what went wrong.

import { byId, make, say, tell } from "./dom.js";
import { bytes, clock, failure, format, moment, plural, shortMoment } from "./words.js";

const PAGE = 20;
/** Long enough to watch any meeting to its end. */
const URL_LIFE_S = 12 * 3600;

export class Finished {
  #api;
  #rows = new Map();
  #filter = { room: "", status: "finished" };
  #cursor = null;
  /** Answers to what was asked before the filter was changed are of no use. */
  #round = 0;

  constructor(api) {
    this.#api = api;
    byId("filter").onsubmit = (event) => {
      event.preventDefault();
      const { room, status } = event.target.elements;
      this.#filter = { room: room.value.trim(), status: status.value };
      this.load();
    };
    byId("finished-more").onclick = () => this.#more();
  }

  /** The first page, anew. */
  async load() {
    this.#round += 1;
    this.#cursor = null;
    for (const row of this.#rows.values()) row.element.remove();
    this.#rows.clear();
    await this.#more();
  }

  /** What has ended since the last look; whatever is open stays so. */
  async refresh() {
    const round = this.#round;
    try {
      const { recordings, nextCursor } = await this.#page(null);
      if (round !== this.#round) return;
      const joins = recordings.some(({ egressId }) => this.#rows.has(egressId));
      // More has ended than fits on a page: what is shown would have a gap.
      if (nextCursor && !joins) return this.load();
      for (const entry of recordings) this.#put(entry);
      this.#shown();
    } catch {
      // The list of running ones says what is wrong.
    }
  }

  /** One that has just ended; answers with how. */
  async ended(egressId) {
    const round = this.#round;
    const entry = await this.#api.get(`/v1/recordings/${egressId}`);
    if (round !== this.#round) return entry;
    const { room, status } = this.#filter;
    const asked = (!room || room === entry.roomId) && (status === "finished" || status === entry.status);
    if (asked) this.#put(entry);
    this.#shown();
    return entry;
  }

  clear() {
    this.#round += 1;
    for (const row of this.#rows.values()) row.element.remove();
    this.#rows.clear();
    this.#shown();
    byId("filter").reset();
  }

  #page(cursor) {
    const { room, status } = this.#filter;
    const query = new URLSearchParams({ status, limit: PAGE });
    if (room) query.set("roomId", room);
    if (cursor) query.set("cursor", cursor);
    return this.#api.get(`/v1/recordings?${query}`);
  }

  async #more() {
    const [round, button] = [this.#round, byId("finished-more")];
    button.disabled = true;
    try {
      const { recordings, nextCursor } = await this.#page(this.#cursor);
      if (round !== this.#round) return;
      for (const entry of recordings) this.#put(entry);
      this.#cursor = nextCursor;
      this.#shown();
    } catch (problem) {
      if (round === this.#round) this.#shown(failure(problem));
    } finally {
      button.disabled = false;
    }
  }

  /** Newest first, as pages are. */
  #put(entry) {
    if (this.#rows.has(entry.egressId)) return;
    const row = new Row(this.#api, entry);
    const next = [...this.#rows.values()].filter((other) => other.startedAt < row.startedAt);
    const first = next.sort((one, two) => two.startedAt - one.startedAt)[0];
    this.#rows.set(entry.egressId, row);
    byId("finished-list").insertBefore(row.element, first?.element ?? null);
  }

  #shown(fault) {
    const none = this.#rows.size === 0;
    const asks = this.#filter.room || this.#filter.status !== "finished";
    const nothing = asks ? "No recording fits this filter." : "Nothing has been recorded yet.";
    const empty = byId("finished-empty");
    tell(empty.firstElementChild, fault ?? (none ? nothing : null));
    empty.hidden = !fault && !none;
    byId("finished-head").hidden = none;
    byId("finished-more").hidden = this.#cursor === null;
  }
}

class Row {
  #api;
  #entry;
  #body = make("div", { className: "details" });

  constructor(api, entry) {
    this.#api = api;
    this.#entry = entry;
    this.startedAt = Date.parse(entry.startedAt);
    const details = make("details", {}, this.#summary(entry), this.#body);
    details.addEventListener("toggle", () => (details.open ? this.#open() : this.#close()));
    this.element = make("li", { data: { egress: entry.egressId } }, details);
  }

  #summary({ roomId, startedAt, duration, size, status, error }) {
    const word = status === "complete" ? "Complete" : "Failed";
    const told = make("span", { className: `status ${status}`, textContent: word, title: error ?? "" });
    return make(
      "summary",
      { className: "row" },
      make("span", { className: "name", textContent: roomId, dir: "auto" }),
      make("time", { dateTime: startedAt, textContent: shortMoment(startedAt) }),
      make("span", { className: "number", textContent: size ? clock(duration) : "–" }),
      make("span", { className: "number", textContent: size ? bytes(size) : "–" }),
      told,
    );
  }

  /** Closed, it holds no connection to the store and no address that others could use. */
  #close() {
    for (const player of this.#body.querySelectorAll("video")) {
      player.removeAttribute("src");
      player.load();
    }
    this.#body.replaceChildren();
  }

  async #open() {
    const { egressId, error, file } = this.#entry;
    const [player, about] = [make("div", { className: "player" }), make("div", { className: "about" }, this.#facts())];
    this.#body.replaceChildren(player, about);
    if (error) player.append(make("p", { className: "warning", textContent: `It failed: ${error}` }));
    if (file) this.#play(player);
    try {
      const { quality } = await this.#api.get(`/v1/recordings/${egressId}`);
      if (quality) about.append(report(quality));
    } catch (problem) {
      about.append(make("p", { className: "fault", textContent: failure(problem) }));
    }
  }

  async #play(place) {
    const { egressId, roomId } = this.#entry;
    const path = `/v1/recordings/${egressId}/url`;
    try {
      const { url } = await this.#api.get(`${path}?expiresIn=${URL_LIFE_S}`);
      // Closed again meanwhile.
      if (!place.isConnected) return;
      const { url: saved } = await this.#api.get(`${path}?expiresIn=${URL_LIFE_S}&download=true`);
      const video = make("video", { controls: true, preload: "metadata", src: url, ariaLabel: `Recording of ${roomId}` });
      const fault = make("p", { className: "fault", hidden: true });
      video.addEventListener("error", () => tell(fault, unreadable(url)));
      const download = make("a", { className: "button", href: saved, textContent: "Download", rel: "noreferrer" });
      place.append(video, fault, make("p", { className: "buttons" }, download));
    } catch (problem) {
      place.append(make("p", { className: "hint", textContent: failure(problem) }));
    }
  }

  #facts() {
    const { egressId, startedAt, endedAt, file, options } = this.#entry;
    const facts = [
      ["Id", egressId],
      ["Started", moment(startedAt)],
      ["Ended", moment(endedAt)],
      ["File", file ?? "none"],
      ["As", format(options)],
    ];
    const pairs = facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", { dir: "auto" }, value)));
    return make("dl", {}, ...pairs);
  }
}

/** Names the store as the service reaches it, which this browser may not. */
function unreadable(url) {
  const { origin, protocol } = new URL(url);
  const mixed = protocol === "http:" && location.protocol === "https:";
  const why = mixed ? " A page that came by HTTPS may not show what comes by plain HTTP." : "";
  return `The file cannot be shown. This browser must reach the store at ${origin}.${why}`;
}

function report({ file, gaps, warnings, participants, participantsLeftOut }) {
  const seen = participants.length + participantsLeftOut;
  const facts = [
    plural(seen, "participant"),
    `${file.packetsLost} packets lost`,
    `longest freeze ${(file.longestFreezeMs / 1000).toFixed(1)} s`,
    ...(gaps.length ? [plural(gaps.length, "gap")] : []),
  ];
  const list = warnings.slice(0, 20).map(({ atMs, message }) => make("li", {}, `${clock(atMs / 1000)} ${message}`));
  const section = make("div", { className: "quality" }, make("h3", { textContent: "Quality" }));
  section.append(make("p", { textContent: facts.join(" · ") }));
  if (list.length) section.append(make("ul", {}, ...list));
  if (warnings.length > list.length) section.append(make("p", {}, `and ${plural(warnings.length - list.length, "more warning")}`));
  return section;
}
