// Owns the way in and out, and what is asked for at regular times.
//
// Contract: nothing is asked for while the tab is hidden, and nothing that was shown stays when its user signs out.

import { Api } from "./api.js";
import { byId, during, say, tell } from "./dom.js";
import { Finished } from "./finished.js";
import { clearNotices, happened, wentWrong } from "./notices.js";
import { HEALTH_EVERY_MS, Pace } from "./pace.js";
import { Previews } from "./previews.js";
import { Running } from "./running.js";
import { prepareStart } from "./start.js";
import { failure, isPassing, name, span } from "./words.js";

/** As many as the API gives at once. */
const RUNNING = "/v1/recordings?status=unfinished&limit=100";

const BASE = location.origin + location.pathname.replace(/\/console\/?$/, "");

let session = null;

class Session {
  #api;
  #pace;
  #previews;
  #running;
  #finished;
  #nextLook;
  #healthTimer;
  #asking = false;

  constructor(api, pace) {
    this.#api = api;
    this.#pace = pace;
    this.#previews = new Previews(api, pace);
    this.#finished = new Finished(api);
    this.#running = new Running(api, this.#previews, (id) => this.#gone(id));
    prepareStart(api, () => this.look());
  }

  begin(first) {
    this.#running.show(first);
    this.#finished.load();
    this.#health();
    this.#healthTimer = setInterval(() => this.#health(), HEALTH_EVERY_MS);
    this.#lookLater();
  }

  end() {
    clearTimeout(this.#nextLook);
    clearInterval(this.#healthTimer);
    this.#previews.end();
    this.#running.clear();
    this.#finished.clear();
    tell(byId("trouble"), null);
  }

  /** Now, and from then on at regular times. */
  async look() {
    if (document.hidden || this.#asking) return;
    clearTimeout(this.#nextLook);
    await this.#look();
    if (session === this) this.#lookLater();
  }

  /** The tab is seen again. */
  wake() {
    this.look();
    this.#finished.refresh();
    this.#health();
  }

  /** Not while the tab is hidden: `wake` goes on. */
  #lookLater() {
    this.#nextLook = setTimeout(() => this.look(), this.#pace.listEvery());
  }

  async #look() {
    const pause = this.#pace.pauseLeft(Date.now());
    if (pause > 0) {
      tell(byId("trouble"), `Too many calls with this API key: the console rests for ${span(pause / 1000)}.`);
      return;
    }
    this.#asking = true;
    try {
      const list = await this.#api.get(RUNNING);
      if (session !== this) return;
      this.#running.show(list);
      tell(byId("trouble"), null);
    } catch (problem) {
      if (session === this) this.#failed(problem);
    } finally {
      this.#asking = false;
    }
  }

  /** A key that is not taken any more ends the session; all else may pass. */
  #failed(problem) {
    const refused = problem.status === 401 || problem.status === 403;
    if (refused && !isPassing(problem)) signOut(failure(problem));
    else tell(byId("trouble"), `What is shown may be old. ${failure(problem)}`);
  }

  async #gone(egressId) {
    try {
      const { roomId, status, error } = await this.#finished.ended(egressId);
      if (session !== this) return;
      if (status === "complete") happened(`The recording of ${name(roomId)} is complete.`);
      if (status === "failed") wentWrong(`The recording of ${name(roomId)} failed: ${error}`);
    } catch {
      if (session === this) this.#finished.refresh();
    }
  }

  async #health() {
    if (document.hidden) return;
    const health = byId("health");
    try {
      const { status, components } = await this.#api.health();
      const bad = Object.entries(components).filter(([, component]) => component.status !== "ok");
      const reasons = bad.map(([part, { reason, status: level }]) => `${part}: ${reason ?? level}`);
      health.dataset.status = status;
      say(health, reasons.length ? reasons.join("; ") : "All is well");
    } catch {
      health.dataset.status = "unavailable";
      say(health, "The service does not answer");
    }
  }
}

async function signIn(form) {
  const [key, secret] = [form.elements.key.value.trim(), form.elements.secret.value.trim()];
  const pace = new Pace();
  const api = await Api.open({ key, secret, base: BASE, pace });
  const first = await api.get(RUNNING);
  await api.learnPace();
  form.reset();
  byId("sign-in").hidden = true;
  byId("console").hidden = false;
  session = new Session(api, pace);
  session.begin(first);
  byId("running-title").focus();
}

function signOut(why) {
  session?.end();
  session = null;
  clearNotices();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  byId("start-form").reset();
  byId("console").hidden = true;
  byId("sign-in").hidden = false;
  tell(byId("sign-in-fault"), why);
  byId("key").focus();
}

function main() {
  const canSign = globalThis.crypto?.subtle !== undefined;
  byId("sign-in").hidden = false;
  byId("no-crypto").hidden = canSign;
  for (const field of byId("sign-in-form").elements) field.disabled = !canSign;
  byId("key").focus();
  byId("sign-in-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const fault = byId("sign-in-fault");
    await during(byId("sign-in-button"), fault, async () => {
      try {
        await signIn(event.target);
      } catch (problem) {
        tell(fault, failure(problem));
      }
    });
  });
  byId("sign-out").addEventListener("click", () => signOut());
  document.addEventListener("visibilitychange", () => document.hidden || session?.wake());
  document.addEventListener("egressd:changed", () => session?.look());
}

main();
