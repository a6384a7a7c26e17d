// Owns the calls of the API: how they are signed, and what their failures are.
//
// Contract: the secret is taken once and kept as a key that can sign and cannot be read, in this object alone; it is never
// stored and in no address. Two calls never carry the same signature, so that a service that refuses replays takes both.

const encoder = new TextEncoder();

/** Long enough for a busy service; whatever takes longer has gone wrong. */
const DEADLINE_MS = 20_000;

/** What two answers may tell of the clock though nothing has changed: ages that are shown are not to jump. */
const CLOCK_NOISE_MS = 2_000;

/** A call that failed: `kind` is `problem` (the service says why) or `network` (it says nothing). */
export class Problem extends Error {
  constructor({ kind, status = 0, detail = "", retryAfter = 0, clockOffMs = 0 }) {
    super(detail || kind);
    Object.assign(this, { kind, status, detail, retryAfter, clockOffMs });
  }
}

export class Api {
  #key;
  #secret;
  /** What stands before `/v1` in addresses, and of that what a proxy in front takes off: it is not signed. */
  #base;
  #prefix;
  #pace;
  #lastSigned = new Map();
  /** How far the service's clock is ahead of this computer's. */
  clockOffMs = 0;

  /** `base` is the service's address, without a slash at the end. */
  static async open({ key, secret, base, pace }) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const imported = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]);
    return new Api(key, imported, base, pace);
  }

  constructor(key, secret, base, pace) {
    this.#key = key;
    this.#secret = secret;
    this.#base = base;
    this.#prefix = new URL(base).pathname.replace(/\/$/, "");
    this.#pace = pace;
  }

  /** Milliseconds since 1970 by the service's clock. */
  now() {
    return Date.now() + this.clockOffMs;
  }

  async get(path) {
    return (await this.#send("GET", path)).json();
  }

  async picture(path) {
    return (await this.#send("GET", path)).blob();
  }

  async post(path, body) {
    return (await this.#send("POST", path, body)).json();
  }

  async patch(path, body) {
    return (await this.#send("PATCH", path, body)).json();
  }

  /** Not signed. Answers with what it says, whether it is well or not. */
  async health() {
    return (await this.#fetch(new URL(this.#base + "/v1/health"), {})).json();
  }

  /** Learns what a key may do; not signed. */
  async learnPace() {
    const { calls, seconds } = await (await this.#fetch(new URL(this.#base + "/console/pace.json"), {})).json();
    this.#pace.allow(calls, seconds);
  }

  async #send(method, path, body) {
    const text = body === undefined ? "" : JSON.stringify(body);
    const url = new URL(this.#base + path);
    // What the browser makes of the path is what is sent, so that is signed.
    const target = url.pathname.slice(this.#prefix.length) + url.search;
    const headers = await this.#signed(method, target, text);
    if (text) headers["Content-Type"] = "application/json";
    const response = await this.#fetch(url, { method, headers, body: text || undefined });
    this.#learn(response.headers);
    if (response.ok) return response;
    throw await this.#problem(response);
  }

  /** With cookies, for a proxy in front that wants some; the service itself knows none. */
  async #fetch(url, options) {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    try {
      return await fetch(url, { ...options, signal, cache: "no-store", credentials: "same-origin", redirect: "error" });
    } catch {
      throw new Problem({ kind: "network" });
    }
  }

  async #signed(method, target, text) {
    const timestamp = this.#timestamp(`${method} ${target} ${text}`);
    const hash = hex(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
    const message = [method, target, timestamp, hash].join("\n");
    const signature = hex(await crypto.subtle.sign("HMAC", this.#secret, encoder.encode(message)));
    return {
      "X-Api-Key": this.#key,
      "X-RTCstack-Timestamp": timestamp,
      "X-RTCstack-Signature": signature,
    };
  }

  /** Seconds, later with every call of the same kind: the service takes those that are some seconds ahead, too. */
  #timestamp(call) {
    const now = Math.floor(Date.now() / 1000);
    const seconds = Math.max(now, (this.#lastSigned.get(call) ?? 0) + 1);
    for (const [old, at] of this.#lastSigned) if (at < now) this.#lastSigned.delete(old);
    this.#lastSigned.set(call, seconds);
    return String(seconds);
  }

  /** What an answer tells beside what was asked: the service's clock. */
  #learn(headers) {
    const date = Date.parse(headers.get("date") ?? "");
    // It counts whole seconds, and is on its way for some time: half a second is the middle of what it may be.
    const off = date + 500 - Date.now();
    if (Math.abs(off - this.clockOffMs) > CLOCK_NOISE_MS) this.clockOffMs = off;
  }

  async #problem(response) {
    const { status } = response;
    const said = await response.json().catch(() => ({}));
    const retryAfter = Number(response.headers.get("retry-after") ?? 0);
    if (status === 429) this.#pace.pause(Math.max(1, retryAfter), Date.now());
    const detail = said.detail ?? `The answer was ${status} ${response.statusText}`;
    return new Problem({ kind: "problem", status, detail, retryAfter, clockOffMs: this.clockOffMs });
  }
}

/** The path of a room's recording. */
export function recordingOf(room) {
  return `/v1/rooms/${encodeURIComponent(room)}/recording`;
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
