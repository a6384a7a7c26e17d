// Owns when preview pictures are fetched: one after the other, of the recordings in sight, none in a hidden tab.

/** A recorder that did not answer in time, or has no picture yet, is asked again after so long. */
const RETRY_MS = 3_000;
/** How soon it is looked again whether there is anything to do. */
const IDLE_MS = 250;

export class Previews {
  #api;
  #pace;
  #targets = new Map();
  #observer;
  #running = true;

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

  /** Pictures of a recording go to `show`, as blobs, and why there is none to `fail`; `frame` is what has to be in sight. */
  add(egressId, frame, { show, fail }) {
    frame.dataset.egress = egressId;
    this.#targets.set(egressId, { egressId, frame, show, fail, inSight: false, due: 0, asked: 0 });
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
      const next = this.#pace.pauseLeft(now) > 0 ? undefined : longestWithout(inSight, now);
      if (!next) {
        await sleep(IDLE_MS);
        continue;
      }
      await this.#fetch(next);
      // Counted from when it was asked for: a slow answer does not come on top.
      await sleep(Math.max(0, now + this.#pace.spacing(inSight.length) - Date.now()));
    }
  }

  async #fetch(target) {
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

function longestWithout(targets, now) {
  const due = targets.filter((target) => target.due <= now);
  return due.reduce((first, target) => (first && first.asked <= target.asked ? first : target), undefined);
}

function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}
