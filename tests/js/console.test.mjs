// What of the web console needs no browser: signing, pace, words, the body of a start. Run by tests/e2e/console.rs.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import http from "node:http";
import { after, before, test } from "node:test";

import { Api, Problem, recordingOf } from "../../src/front/console/files/api.js";
import { Pace } from "../../src/front/console/files/pace.js";
import { present } from "../../src/front/console/files/previews.js";
import { asked } from "../../src/front/console/files/start.js";
import { bytes, clock, failure, format, isPassing, name, span, upload } from "../../src/front/console/files/words.js";

const SECRET = "s3cr3t ü";
let server;
let base;
const requests = [];
/** What the service answers next. */
let answer = { status: 200, headers: {}, body: "{}" };

before(async () => {
  server = http.createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    requests.push({ method: request.method, url: request.url, headers: request.headers, body });
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  base = `http://127.0.0.1:${server.address().port}`;
});

after(() => server.close());

const open = (options = {}) => Api.open({ key: "k", secret: SECRET, base, pace: new Pace(), ...options });

/** As the contract says it, by another implementation. */
function expected({ method, url, headers, body }) {
  const hash = createHash("sha256").update(body).digest("hex");
  const message = [method, url, headers["x-rtcstack-timestamp"], hash].join("\n");
  return createHmac("sha256", SECRET).update(message).digest("hex");
}

async function made(call) {
  requests.length = 0;
  answer = { status: 200, headers: {}, body: "{}" };
  await call();
  return requests[0];
}

test("a signature holds for what is really sent", async () => {
  const api = await open();
  const rooms = ["plain", "Zürich 会議 %2F?#&+", "it's <b>", "a\u202Eb", "..."];
  for (const room of rooms) {
    const request = await made(() => api.post(`${recordingOf(room)}/start`, { layout: "grid" }));
    assert.equal(request.headers["x-rtcstack-signature"], expected(request), room);
    assert.equal(decodeURIComponent(request.url.split("/")[3]), room);
    assert.equal(request.headers["content-type"], "application/json");
  }
  const listed = await made(() => api.get("/v1/recordings?roomId=it's+%C3%BC&limit=1"));
  assert.equal(listed.headers["x-rtcstack-signature"], expected(listed));
  assert.equal(listed.headers["x-api-key"], "k");
});

test("what a proxy takes off the path is sent but not signed", async () => {
  const api = await open({ base: `${base}/behind/a/proxy` });
  const request = await made(() => api.get("/v1/recordings"));
  assert.equal(request.url, "/behind/a/proxy/v1/recordings");
  assert.equal(request.headers["x-rtcstack-signature"], expected({ ...request, url: "/v1/recordings" }));
});

test("no two calls carry the same signature, whoever makes them within a second", async () => {
  const api = await open();
  const signatures = new Set();
  for (let call = 0; call < 5; call += 1) {
    const request = await made(() => api.get("/v1/recordings"));
    signatures.add(request.headers["x-rtcstack-signature"]);
  }
  assert.equal(signatures.size, 5);
});

test("a refusal tells why, and how long to wait", async () => {
  const pace = new Pace();
  const api = await open({ pace });
  answer = { status: 429, headers: { "retry-after": "7" }, body: '{"detail":"Too many requests with this API key"}' };
  await assert.rejects(api.get("/v1/recordings"), (problem) => {
    assert(problem instanceof Problem);
    assert.equal(failure(problem), "Too many calls with this API key. The service takes the next in 7 s.");
    return true;
  });
  const left = pace.pauseLeft(Date.now());
  assert(left > 5_000 && left <= 7_000, `${left}`);
  answer = { status: 502, headers: {}, body: "<html>a proxy's own page</html>" };
  await assert.rejects(api.get("/v1/recordings"), { status: 502, detail: "The answer was 502 Bad Gateway" });
  const nobody = await open({ base: "http://127.0.0.1:1" });
  await assert.rejects(nobody.get("/v1/recordings"), { kind: "network" });
});

test("a wrong clock, a wrong key and a wrong secret are told apart", () => {
  const refusal = (status, detail, clockOffMs) => new Problem({ kind: "problem", status, detail, clockOffMs });
  const late = failure(refusal(403, "X-RTCstack-Timestamp is more than 300 s from now", 720_000));
  assert.match(late, /^This computer's clock is 12 min behind the service's\./);
  const early = failure(refusal(403, "X-RTCstack-Timestamp is more than 300 s from now", -3 * 3_600_000));
  assert.match(early, /^This computer's clock is 3 h ahead of the service's\./);
  assert.equal(failure(refusal(403, "X-RTCstack-Signature is wrong", 900)), "The secret does not belong to this API key.");
  assert.equal(failure(refusal(401, "X-Api-Key is not known", 0)), "The service does not know this API key.");
  const replayed = refusal(403, "X-RTCstack-Signature was used before", 900);
  assert.equal(failure(replayed), "X-RTCstack-Signature was used before.");
  assert.deepEqual([replayed, refusal(403, "X-RTCstack-Signature is wrong", 0)].map(isPassing), [true, false]);
  assert.equal(failure(refusal(404, "No such room in LiveKit", 0)), "No such room in LiveKit.");
});

test("the pace is learned from the service", async () => {
  const pace = new Pace();
  const api = await open({ pace });
  answer = { status: 200, headers: {}, body: '{"calls":1000,"seconds":60}' };
  requests.length = 0;
  await api.learnPace();
  assert.equal(requests[0].url, "/console/pace.json");
  assert.equal(requests[0].headers["x-api-key"], undefined);
  assert.equal(pace.spacing(1), 1000);
});

test("the service's clock is learned from its answers", async () => {
  const api = await open();
  answer = { status: 200, headers: { date: new Date(Date.now() + 60_000).toUTCString() }, body: "{}" };
  await api.get("/v1/recordings");
  assert(Math.abs(api.now() - Date.now() - 60_000) < 2_000);
});

test("the console takes at most six tenths of what a key may do, however many recordings are in sight", () => {
  const pace = new Pace();
  assert.deepEqual([pace.listEvery(), pace.spacing(1), pace.spacing(20)], [5000, 1250, 1250]);
  for (const allowed of [1, 10, 40, 100, 1000]) {
    pace.allow(allowed, 60);
    for (const inSight of [1, 2, 20, 100]) {
      const perMinute = 60_000 / pace.spacing(inSight) + 60_000 / pace.listEvery();
      assert(perMinute <= allowed * 0.6 + 1e-9, `${inSight} of ${allowed}: ${perMinute}`);
    }
  }
  pace.allow(100_000, 60);
  assert.deepEqual([1, 2, 20].map((inSight) => pace.spacing(inSight)), [1000, 500, 200]);
});

test("a pause is as long as the longest that was asked for", () => {
  const pace = new Pace();
  pace.pause(10, 1_000);
  pace.pause(2, 1_000);
  assert.deepEqual([1_000, 10_000, 11_000, 20_000].map((now) => pace.pauseLeft(now)), [10_000, 1_000, 0, 0]);
});

test("a start asks for what was chosen and for nothing else", () => {
  const fields = (chosen) => {
    const form = new FormData();
    const all = { room: "r", layout: "", fit: "", size: "", content: "", framerate: "", minutes: "", filepath: "", ...chosen };
    for (const [key, value] of Object.entries(all)) form.set(key, value);
    return form;
  };
  assert.equal(asked(fields({})), undefined);
  const chosen = { layout: "speaker-light", size: "1920x1080", framerate: "25", minutes: "90", content: "audioOnly", nameTags: "on" };
  assert.deepEqual(asked(fields(chosen)), {
    layout: "speaker-light",
    framerate: 25,
    nameTags: true,
    maxDurationSeconds: 5400,
    width: 1920,
    height: 1080,
    audioOnly: true,
  });
});

test("sizes and times are said as people say them", () => {
  assert.deepEqual([0, 999, 1000, 99_450, 99_500, 999_499, 999_500, 5.4e6, 2.31e9, 7e15].map(bytes), [
    "0 B", "999 B", "1.0 kB", "99.5 kB", "100 kB", "999 kB", "1.0 MB", "5.4 MB", "2.3 GB", "7000 TB",
  ]);
  assert.deepEqual([-3, 0, 65.9, 3723].map(clock), ["0:00", "0:00", "1:05", "1:02:03"]);
  assert.deepEqual([4, 95, 7200, 200_000].map(span), ["4 s", "2 min", "2 h", "2 days"]);
  assert.equal(name("a\u202Eb"), "\u2068a\u202Eb\u2069");
});

test("those are in the room who were there when the report was made", () => {
  const participants = [
    { identity: "a", name: "Ann", fromMs: 0, toMs: 5000 },
    { identity: "b", name: "", fromMs: 0, toMs: 5000 },
    { identity: "c", name: "Cid", fromMs: 0, toMs: 4000 },
  ];
  assert.deepEqual(present({ file: { durationMs: 5000 }, participants }), ["Ann", "b"]);
});

test("a recording's line says what is in it and how far it is", () => {
  const options = { width: 1280, height: 720, framerate: 30 };
  assert.equal(format(options), "1280 × 720, 30 fps");
  assert.equal(format({ ...options, audioOnly: true }), "sound only");
  assert.equal(format({ ...options, videoOnly: true }), "1280 × 720, 30 fps, no sound");
  const status = { storedBytes: 118e6, waitingBytes: 5e6, waitingSince: null, store: "primary" };
  assert.equal(upload(status, 0), "118 MB stored, 5.0 MB to go");
  const late = { ...status, waitingSince: "2024-04-21T10:00:00.000Z", store: "fallback" };
  const now = Date.parse("2024-04-21T10:00:40.000Z");
  assert.equal(upload(late, now), "118 MB stored in the second store, 5.0 MB to go, for 40 s");
});
