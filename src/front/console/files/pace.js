// Owns how often the console calls by itself. Pure: the time is an argument.
//
// An API key may make so many calls a minute, a hundred unless it is configured otherwise, and an application may use the
// same key. So the console spends at most a part of them on what it shows: the list every five seconds, or as often as half
// of that part allows, and with the rest preview pictures, one after the other, of the recordings in sight.

const MINUTE_MS = 60_000;

/** How often the list of running recordings is asked for, where enough is allowed. */
const LIST_EVERY_MS = 5_000;
/** Health is not signed and does not count. */
export const HEALTH_EVERY_MS = 30_000;

/** What a key may do if the service does not say: its own default. */
const DEFAULT_PER_MINUTE = 100;
/** The part of it that the console takes at most; the rest is for what its user does, and for applications. */
const SHARE = 0.6;
/** A preview is as new as a second, so a picture is asked for that often at most. */
const PICTURE_EVERY_MS = 1_000;
/** However much is allowed: a picture costs its recorder some milliseconds. */
const LEAST_SPACING_MS = 200;

export class Pace {
  #perMinute = DEFAULT_PER_MINUTE;
  #pausedUntil = 0;

  /** What the service says that a key may do: so many calls in so many seconds. */
  allow(calls, seconds) {
    if (calls > 0 && seconds > 0) this.#perMinute = (calls * 60) / seconds;
  }

  /** The service has had enough for so many seconds. */
  pause(seconds, now) {
    this.#pausedUntil = Math.max(this.#pausedUntil, now + seconds * 1000);
  }

  /** Milliseconds until the console may call by itself again. */
  pauseLeft(now) {
    return Math.max(0, this.#pausedUntil - now);
  }

  /** Milliseconds from one look at the list to the next. */
  listEvery() {
    return Math.max(LIST_EVERY_MS, (2 * MINUTE_MS) / this.#share);
  }

  /** Milliseconds from one preview to the next, whichever recordings they are of. */
  spacing(inSight) {
    const affordable = MINUTE_MS / (this.#share - MINUTE_MS / this.listEvery());
    const wanted = PICTURE_EVERY_MS / Math.max(1, inSight);
    return Math.max(affordable, wanted, LEAST_SPACING_MS);
  }

  /** Calls a minute that the console may make by itself. */
  get #share() {
    return this.#perMinute * SHARE;
  }
}
