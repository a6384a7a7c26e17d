// Somebody at the web console, in a Chromium: signs in, starts a recording, watches it, changes its layout, stops it and
// plays the file, all by clicks and keys. Prints one line of JSON with what was seen.
//
//     node console.mjs FOLDER-WITH-node_modules --url CONSOLE-URL --key KEY --room NAME --shots FOLDER
//
// The key's secret is read from API_SECRET, the browser's program from EGRESSD_CHROMIUM. A screenshot of each state goes
// into the folder.

import { createRequire } from "node:module";
import path from "node:path";
import { parseArgs } from "node:util";

/** Far above what anything here takes, so that only what never comes fails. */
const PATIENCE_MS = 45_000;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(["url", "key", "room", "shots"].map((name) => [name, { type: "string" }])),
});
const { chromium } = createRequire(path.resolve(positionals[0], "package.json"))("playwright-core");

// As root in a container there is no sandbox: the pages are our own.
const browser = await chromium.launch({
  executablePath: process.env.EGRESSD_CHROMIUM,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: "light" });
context.setDefaultTimeout(PATIENCE_MS);
const page = await context.newPage();
const seen = { complaints: [], calls: 0 };

/** What the browser itself says: a policy that was offended, a script that failed. */
page.on("console", (message) => {
  const expected = /the server responded with a status of (40[1349]|503)/.test(message.text());
  if (message.type() === "error" && !expected) seen.complaints.push(message.text());
});
page.on("pageerror", (error) => seen.complaints.push(error.message));
page.on("dialog", (dialog) => seen.complaints.push(dialog.message()));
page.on("request", (request) => request.headers()["x-rtcstack-signature"] && (seen.calls += 1));

const shot = (name) => page.screenshot({ path: path.join(options.shots, `${name}.png`) });
const text = (selector) => page.locator(selector).innerText();

async function signIn() {
  await page.goto(options.url);
  await page.getByLabel("API key").fill(options.key);
  await page.getByLabel("Secret").fill("not the secret");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#sign-in-fault:not([hidden])").waitFor();
  seen.wrongSecret = await text("#sign-in-fault");
  await page.getByLabel("Secret").fill(process.env.API_SECRET);
  await page.keyboard.press("Enter");
  await page.locator("#console:not([hidden])").waitFor();
  seen.empty = await text("#running-empty");
  await shot("empty");
}

async function start() {
  await page.getByRole("button", { name: "Start a recording" }).click();
  await page.getByLabel("Room", { exact: true }).last().fill("nobody-is-here");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.locator("#start-fault:not([hidden])").waitFor();
  seen.noSuchRoom = await text("#start-fault");
  await page.locator("#start-room").fill(options.room);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.locator(".card").waitFor();
  seen.title = await text(".card h3");
  seen.announced = await text("#notices");
}

async function watch() {
  const picture = page.locator(".card img");
  await picture.waitFor();
  seen.picture = await picture.evaluate((image) => image.decode().then(() => [image.naturalWidth, image.naturalHeight]));
  const first = await picture.getAttribute("src");
  await page.waitForFunction((old) => document.querySelector(".card img").src !== old, first);
  seen.pictureChanged = true;
  await page.getByText("1 participant ·").waitFor();
  seen.people = await page.locator(".card .facts").first().getAttribute("title");
  await shot("running");
  await page.emulateMedia({ colorScheme: "dark" });
  await shot("running-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.locator(".card select").selectOption("speaker");
  await page.getByText("The layout of").waitFor();
}

async function stop() {
  await page.locator(".card").getByRole("button", { name: "Stop recording" }).click();
  await page.getByRole("button", { name: "Stop it" }).click();
  await page.locator("#finished-list li").waitFor();
  await page.locator("#running-empty:not([hidden])").waitFor();
  seen.finished = await page.locator("#finished-list summary .status").innerText();
}

async function play() {
  await page.locator("#finished-list summary").press("Enter");
  const video = page.locator("#finished-list video");
  await video.waitFor();
  await video.evaluate((player) => player.play());
  await page.waitForFunction(() => document.querySelector("#finished-list video").currentTime > 1);
  seen.film = await video.evaluate(({ videoWidth, videoHeight, duration }) => ({ videoWidth, videoHeight, duration }));
  await page.locator(".quality").waitFor();
  await shot("finished");
  await page.setViewportSize({ width: 390, height: 844 });
  await shot("finished-narrow");
  const waiting = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download" }).click();
  seen.download = (await waiting).suggestedFilename();
}

async function leave() {
  seen.kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie, location.href]);
  await page.getByRole("button", { name: "Sign out" }).click();
  seen.afterwards = await page.evaluate(() => document.querySelectorAll(".card, #finished-list li").length);
}

for (const step of [signIn, start, watch, stop, play, leave]) {
  await step().catch(async (error) => {
    await shot("failed");
    throw new Error(`${step.name}: ${error.message}\n${JSON.stringify(seen)}`);
  });
}
await browser.close();
console.log(JSON.stringify(seen));
