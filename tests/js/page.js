// Runs in the browser: participants made of LiveKit's own client for browsers. `perform` carries out the commands
// that browser.mjs passes on. What is shown and heard is the same as in tests/py/pictures.py.

const { Room, Track } = LivekitClient;

const DEFAULTS = {
  mode: "bar",
  rgb: [0, 0, 0],
  codec: "vp8",
  width: 640,
  height: 360,
  fps: 30,
  simulcast: false,
  scalability: null,
  rotation: 0,
  hertz: [400],
  dtx: false,
  red: true,
  video: true,
  kbps: null,
};
const DEFAULT_KBPS = 600;
const AMPLITUDE = 0.2;
const BAR_STEPS = 30;

const members = new Map();

const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

/** Each draws frame `index` into a canvas. */
const PICTURES = {
  /** A plain colour; a white bar moves through the lowest quarter, so the centre stays plain. */
  bar(context, { width, height }, rgb, index) {
    context.fillStyle = css(rgb);
    context.fillRect(0, 0, width, height);
    context.fillStyle = "white";
    const left = ((index % BAR_STEPS) / BAR_STEPS) * (width - width / 16);
    context.fillRect(left, (height * 3) / 4, width / 16, height / 4);
  },
  /** Upper left the colour, upper right white, lower right grey, lower left black. */
  quarters(context, { width, height }, rgb, index) {
    const split = width / 2 - 4 * (Math.floor(index / 8) % 4);
    context.fillStyle = "black";
    context.fillRect(0, 0, width, height);
    context.fillStyle = css(rgb);
    context.fillRect(0, 0, split, height / 2);
    context.fillStyle = "white";
    context.fillRect(split, 0, width, height / 2);
    context.fillStyle = css([128, 128, 128]);
    context.fillRect(split, height / 2, width, height);
  },
};

/** A picture that moves until it is stopped. */
class Canvas {
  constructor({ mode, rgb, width, height, fps }) {
    this.canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = this.canvas.getContext("2d", { alpha: false });
    const draw = () => PICTURES[mode](context, this.canvas, rgb, Math.floor((performance.now() * fps) / 1000));
    draw();
    this.timer = setInterval(draw, 1000 / fps);
    [this.track] = this.canvas.captureStream(fps).getVideoTracks();
  }

  resize(width, height) {
    Object.assign(this.canvas, { width, height });
  }

  stop() {
    clearInterval(this.timer);
    this.track.stop();
  }
}

/** The browser's fake camera: a figure that turns on a green ground. */
class FakeCamera {
  async open({ width, height, fps }) {
    const video = { width, height, frameRate: fps };
    [this.track] = (await navigator.mediaDevices.getUserMedia({ video })).getVideoTracks();
    return this;
  }

  stop() {
    this.track.stop();
  }
}

/** Steady tones, one a channel, until it is stopped. */
class Tones {
  constructor({ hertz }) {
    this.context = new AudioContext({ sampleRate: 48000 });
    const merger = new ChannelMergerNode(this.context, { numberOfInputs: hertz.length });
    hertz.forEach((frequency, channel) => {
      const oscillator = new OscillatorNode(this.context, { frequency });
      oscillator.connect(merger, 0, channel);
      oscillator.start();
    });
    this.gain = new GainNode(this.context, { gain: AMPLITUDE });
    const exit = new MediaStreamAudioDestinationNode(this.context, { channelCount: hertz.length });
    merger.connect(this.gain).connect(exit);
    [this.track] = exit.stream.getAudioTracks();
  }

  set speaking(loud) {
    this.gain.gain.value = loud ? AMPLITUDE : 0;
  }

  stop() {
    this.track.stop();
    return this.context.close();
  }
}

function layersOf({ codec, simulcast, scalability }) {
  const layered = codec === "vp9" || codec === "av1";
  // Without a mode the client makes three layers of these codecs.
  const scalabilityMode = layered ? (scalability ?? "L1T1") : undefined;
  return { videoCodec: codec, simulcast, scalabilityMode, backupCodec: false };
}

function requireCodec(codec) {
  const { codecs } = RTCRtpSender.getCapabilities("video");
  if (!codecs.some(({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`)) {
    throw new Error(`this browser does not encode ${codec}`);
  }
}

class Member {
  constructor() {
    this.room = new Room({ adaptiveStream: false, dynacast: false, stopLocalTrackOnUnpublish: false });
    this.sources = {};
  }

  async join(url, token, publish) {
    await this.room.connect(url, token, { autoSubscribe: false });
    if (publish === null) return;
    const spec = { ...DEFAULTS, ...publish };
    if (spec.rotation !== 0) throw new Error("a browser's camera is not turned");
    if (spec.video) await this.film("camera", Track.Source.Camera, spec);
    if (spec.hertz.length > 0) await this.speak(spec);
  }

  async film(name, source, spec) {
    requireCodec(spec.codec);
    const camera = spec.mode === "fake-camera" ? await new FakeCamera().open(spec) : new Canvas(spec);
    this.sources[name] = camera;
    const share = Math.max(1, (spec.width * spec.height) / (640 * 360)) ** 0.75;
    const maxBitrate = Math.round((spec.kbps ?? DEFAULT_KBPS * share) * 1000);
    const encoding = { maxBitrate, maxFramerate: spec.fps };
    const options = { name, source, videoEncoding: encoding, screenShareEncoding: encoding, ...layersOf(spec) };
    await this.room.localParticipant.publishTrack(camera.track, options);
  }

  async speak(spec) {
    const tones = new Tones(spec);
    this.sources.microphone = tones;
    const forceStereo = spec.hertz.length === 2;
    const options = { name: "microphone", source: Track.Source.Microphone, dtx: spec.dtx, red: spec.red, forceStereo };
    await this.room.localParticipant.publishTrack(tones.track, options);
  }

  track(source) {
    return this.room.localParticipant.getTrackPublication(source).track;
  }

  async unshare() {
    await this.room.localParticipant.unpublishTrack(this.track(Track.Source.ScreenShare));
    this.sources.screen.stop();
    delete this.sources.screen;
  }

  async leave() {
    await Promise.all(Object.values(this.sources).map((source) => source.stop()));
    await this.room.disconnect();
  }
}

const COMMANDS = {
  mute: (member) => member.track(Track.Source.Camera).mute(),
  unmute: (member) => member.track(Track.Source.Camera).unmute(),
  mute_microphone: (member) => member.track(Track.Source.Microphone).mute(),
  unmute_microphone: (member) => member.track(Track.Source.Microphone).unmute(),
  resize: (member, { width, height }) => member.sources.camera.resize(width, height),
  speak: (member) => { member.sources.microphone.speaking = true; },
  silence: (member) => { member.sources.microphone.speaking = false; },
  share: (member, { publish }) =>
    member.film("screen", Track.Source.ScreenShare, { ...DEFAULTS, ...publish }),
  unshare: (member) => member.unshare(),
};

/** Carries out a command; what it throws is the command's error. */
async function perform(command) {
  const { identity } = command;
  if (command.do === "join") {
    const member = new Member();
    members.set(identity, member);
    await member.join(command.url, command.token, command.publish);
  } else if (command.do === "leave") {
    const member = members.get(identity);
    members.delete(identity);
    await member.leave();
  } else {
    await COMMANDS[command.do](members.get(identity), command);
  }
}
