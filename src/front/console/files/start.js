// Owns the form by which a recording is started. What is left as it is goes into no body: the service's defaults hold.

import { recordingOf } from "./api.js";
import { byId, during, make, tell } from "./dom.js";
import { happened } from "./notices.js";
import { LAYOUTS, failure, name } from "./words.js";

export function prepareStart(api, onStarted) {
  const [dialog, form, fault] = [byId("start-dialog"), byId("start-form"), byId("start-fault")];
  const layouts = LAYOUTS.map(([value, textContent]) => make("option", { value, textContent }));
  byId("start-layout").replaceChildren(make("option", { value: "", textContent: "As configured" }), ...layouts);
  byId("start-button").onclick = () => {
    tell(fault, null);
    dialog.showModal();
    byId("start-room").focus();
  };
  byId("start-cancel").onclick = () => dialog.close();
  form.onsubmit = async (event) => {
    event.preventDefault();
    await during(byId("start-send"), fault, async () => {
      try {
        await start(api, form, onStarted);
        dialog.close();
        form.reset();
      } catch (problem) {
        tell(fault, failure(problem));
      }
    });
  };
}

async function start(api, form, onStarted) {
  const room = form.elements.room.value;
  // An address with such a part is another one.
  if (room === "." || room === "..") throw new Error("A room cannot be called so");
  const body = asked(new FormData(form));
  const { egressId, status } = await api.post(`${recordingOf(room)}/start`, body);
  const words = status === "active" ? "is being recorded already" : "is being recorded";
  happened(`${name(room)} ${words}: ${egressId}.`);
  onStarted();
}

/** The body of a start; nothing at all if nothing was chosen. */
export function asked(fields) {
  const body = {};
  for (const name of ["layout", "fit", "filepath"]) {
    const text = fields.get(name);
    if (text) body[name] = text;
  }
  for (const name of ["framerate", "videoBitrate", "audioBitrate"]) {
    if (fields.get(name)) body[name] = Number(fields.get(name));
  }
  for (const name of ["nameTags", "initials", "speakerBorder"]) {
    if (fields.get(name)) body[name] = true;
  }
  if (fields.get("minutes")) body.maxDurationSeconds = 60 * Number(fields.get("minutes"));
  if (fields.get("size")) [body.width, body.height] = fields.get("size").split("x").map(Number);
  if (fields.get("content")) body[fields.get("content")] = true;
  return Object.keys(body).length > 0 ? body : undefined;
}
