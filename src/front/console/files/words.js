// Owns how times, sizes and failures are said. Pure: the time is an argument.

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes as people say them, in powers of a thousand. */
export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Seconds as a player shows them: `7:05`, `1:02:03`. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
}

/** A length of time in one unit: `40 s`, `5 min`, `3 h`, `2 days`. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 90 * 60) return `${Math.round(whole / 60)} min`;
  if (whole < 36 * 3600) return `${Math.round(whole / 3600)} h`;
  return `${Math.round(whole / 86400)} days`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** Somebody's name within a sentence: whatever is in it does not change the direction of the rest. */
export function name(text) {
  return `\u2068${text}\u2069`;
}

/** A moment in the reader's language and time zone. */
export function moment(iso) {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** The same to the minute. */
export function shortMoment(iso) {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** The layouts of a start, by the words of the API. */
export const LAYOUTS = [
  ["grid", "Grid"],
  ["speaker", "Speaker and column"],
  ["single-speaker", "Speaker alone"],
  ["grid-light", "Grid, on white"],
  ["speaker-light", "Speaker and column, on white"],
  ["single-speaker-light", "Speaker alone, on white"],
];

/** What is being recorded, in one line. */
export function format({ width, height, framerate, audioOnly, videoOnly }) {
  if (audioOnly) return "sound only";
  const picture = `${width} × ${height}, ${framerate} fps`;
  return videoOnly ? `${picture}, no sound` : picture;
}

/** How far a recording's bytes are on their way. */
export function upload({ storedBytes, waitingBytes, waitingSince, store }, now) {
  const place = store === "fallback" ? " in the second store" : "";
  const late = waitingSince === null ? "" : `, for ${span((now - Date.parse(waitingSince)) / 1000)}`;
  return `${bytes(storedBytes)} stored${place}, ${bytes(waitingBytes)} to go${late}`;
}

/** Why a call failed, for whoever made it. */
export function failure(problem) {
  const { kind, status, detail, clockOffMs, retryAfter } = problem;
  if (kind === "network") return "The service does not answer.";
  if (kind !== "problem") return sentence(problem.message ?? String(problem));
  if (status === 401) return "The service does not know this API key.";
  if (status === 403 && Math.abs(clockOffMs) > CLOCK_TOLERANCE_MS) {
    const off = span(Math.abs(clockOffMs) / 1000);
    const way = clockOffMs > 0 ? "behind" : "ahead of";
    return `This computer's clock is ${off} ${way} the service's. Calls are signed with the time and refused if it is more than 5 minutes off: set the clock.`;
  }
  if (status === 403 && detail.includes("Signature is wrong")) return "The secret does not belong to this API key.";
  if (status === 429) return `Too many calls with this API key. The service takes the next in ${span(retryAfter)}.`;
  const later = retryAfter > 0 ? ` Try again in ${span(retryAfter)}.` : "";
  return sentence(detail) + later;
}

/** Whether it is another tab with the same key that is in the way: the next call will do. */
export function isPassing({ status, detail }) {
  return status === 403 && /was used before|before the service's start/.test(detail);
}

/** What the API takes (docs/api.md), less what a response is on its way. */
const CLOCK_TOLERANCE_MS = 290_000;

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
