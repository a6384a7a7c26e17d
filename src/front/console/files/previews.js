// Owns when preview pictures are fetched, and who is in the rooms: one after the other, of the recordings in sight, none in a
// hidden tab.

/** A recorder that did not answer in time, or has no picture yet, is asked again after so long. */
const RETRY_MS = 3_000;
/** Who is in a room is as new as ten seconds. */
const PEOPLE_EVERY_MS = 10_000;
/** Pictures between two questions for people: with one recording in sight they come as often as there is something new. */
const PICTURES_BETWEEN = 7;
/** How soon it is looked again whether there is anything to do. */
const IDLE_MS = 250;

export class Previews {
  #api;
  #pace;
  #targets = new Map();
  #observer;
  #running = true;
  #pictures = PICTURES_BETWEEN;

  constructor(api, pace) {
    this.#api = api;
    this.#pace = pace;
    this.#observer = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) {
        const found = this.#targets.get(target.dataset.egress);
        if (found) found.inSight = isIntersecting;
      }
    });
    this.#run();
  }

  /**
   * Pictures of a recording go to `show`, as blobs, and why there is none to `fail`; who is in the room goes to `people`.
   * `frame` is what has to be in sight. Without `show` there are no pictures.
   */
  add(egressId, frame, { show, fail, people }) {
    frame.dataset.egress = egressId;
    const times = { due: 0, asked: 0, told: 0 };
    this.#targets.set(egressId, { egressId, frame, show, fail, people, inSight: false, ...times });
    this.#observer.observe(frame);
  }

  remove(egressId) {
    const target = this.#targets.get(egressId);
    if (!target) return;
    this.#observer.unobserve(target.frame);
    this.#targets.delete(egressId);
  }

  end() {
    this.#running = false;
    this.#observer.disconnect();
    this.#targets.clear();
  }

  async #run() {
    while (this.#running) {
      const now = Date.now();
      const inSight = document.hidden ? [] : [...this.#targets.values()].filter((target) => target.inSight);
      const next = this.#pace.pauseLeft(now) > 0 ? undefined : this.#next(inSight, now);
      if (!next) {
        await sleep(IDLE_MS);
        continue;
      }
      await next();
      // Counted from when it was asked for: a slow answer does not come on top.
      await sleep(Math.max(0, now + this.#pace.spacing(inSight.length) - Date.now()));
    }
  }

  #next(inSight, now) {
    const picture = longest(inSight.filter(({ show, due }) => show && due <= now), "asked");
    const people = longest(inSight.filter(({ told }) => told + PEOPLE_EVERY_MS <= now), "told");
    // Of whom nothing is known yet, something is known soon.
    const between = people?.told === 0 ? 1 : PICTURES_BETWEEN;
    if (people && (!picture || this.#pictures >= between)) return () => this.#ask(people);
    return picture && (() => this.#fetch(picture));
  }

  async #ask(target) {
    this.#pictures = 0;
    target.told = Date.now();
    try {
      const { quality } = await this.#api.get(`/v1/recordings/${target.egressId}`);
      if (quality && this.#targets.has(target.egressId)) target.people(present(quality));
    } catch {
      // The list says what is wrong; the next turn may do better.
    }
  }

  async #fetch(target) {
    this.#pictures += 1;
    target.asked = Date.now();
    try {
      const picture = await this.#api.picture(`/v1/recordings/${target.egressId}/preview.jpg`);
      if (this.#targets.has(target.egressId)) target.show(picture);
    } catch (problem) {
      target.due = Date.now() + RETRY_MS;
      if (this.#targets.has(target.egressId)) target.fail(problem);
    }
  }
}

/** The one whose turn, by this time of its, was the longest ago. */
function longest(targets, time) {
  return targets.reduce((first, target) => (first && first[time] <= target[time] ? first : target), undefined);
}

/** Whoever was still there where the report ends, by what people call them. */
export function present({ file, participants }) {
  const there = participants.filter(({ toMs }) => toMs >= file.durationMs);
  return there.map(({ name, identity }) => name || identity);
}

function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}
