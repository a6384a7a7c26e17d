// Test participants in a Chromium with LiveKit's own client for browsers, driven by the JSON lines of
// tests/py/participant.py, all but `rotate` and `others`. Serves its page on a free loopback port.
//
//     node browser.mjs FOLDER-WITH-node_modules --url WS-URL --room NAME --key KEY --profile FOLDER
//
// The key's secret is read from LIVEKIT_API_SECRET, the browser's program from EGRESSD_CHROMIUM. `--profile` is an
// empty folder. End of input ends the browser and with it every participant.

import { createHmac } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";
import { parseArgs } from "node:util";

const TOKEN_LIFE_S = 600;
const FLAGS = [
  // No display, no GPU, and as root in a container no sandbox: the pages are our own.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  // Host candidates are addresses, not names to be resolved by multicast.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  // libwebrtc leaves loopback out otherwise; a machine without a network has nothing else.
  "--allow-loopback-in-peer-connection",
];

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(["url", "room", "key", "profile"].map((name) => [name, { type: "string" }])),
});
const packages = createRequire(path.resolve(positionals[0], "package.json"));
const { chromium } = packages("playwright-core");

const FILES = {
  "/": ["text/html", `<!doctype html><title>participants</title>
    <script src="livekit-client.js"></script><script src="page.js"></script>`],
  "/livekit-client.js": ["text/javascript", fs.readFileSync(packages.resolve("livekit-client"))],
  "/page.js": ["text/javascript", fs.readFileSync(path.join(import.meta.dirname, "page.js"))],
};

/** An access token (a JWT, HS256) made here, so that the tests depend on no code of egressd. */
function token(identity, name) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const video = { room: options.room, roomJoin: true, canPublish: true, canSubscribe: true };
  const claims = { iss: options.key, sub: identity, name, nbf: now - 10, exp: now + TOKEN_LIFE_S, video };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  const signature = createHmac("sha256", process.env.LIVEKIT_API_SECRET).update(signed).digest("base64url");
  return `${signed}.${signature}`;
}

async function serve() {
  const server = http.createServer((request, response) => {
    const [type, body] = FILES[request.url] ?? [];
    response.writeHead(type ? 200 : 404, { "content-type": type ?? "text/plain" }).end(body);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return server;
}

async function open(address) {
  const browser = await chromium.launchPersistentContext(options.profile, {
    executablePath: process.env.EGRESSD_CHROMIUM,
    headless: true,
    args: FLAGS,
  });
  const page = await browser.newPage();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && console.error(message.text()));
  page.on("pageerror", (error) => console.error(error));
  await page.goto(address);
  return { browser, page };
}

const server = await serve();
const { browser, page } = await open(`http://127.0.0.1:${server.address().port}/`);
for await (const line of readline.createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const secrets = command.do === "join" ? { url: options.url, token: token(command.identity, command.name) } : {};
  const answer = await page.evaluate((it) => perform(it), { ...command, ...secrets }).then(
    () => ({ id: command.id, ok: true }),
    (error) => ({ id: command.id, error: error.message }),
  );
  console.log(JSON.stringify(answer));
}
await browser.close();
server.close();
