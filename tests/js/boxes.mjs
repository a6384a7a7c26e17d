// The structure of an MP4 file as mp4box.js (GPAC's parser for JavaScript) sees it, as one line of JSON.
// Chosen because it is the parser the field knows, it is independent of FFmpeg, which reads the same files
// in these tests, and its package brings nothing else along. GPAC's own MP4Box is not in Debian 12.
//
//     node boxes.mjs FOLDER-WITH-node_modules FILE

import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const [modules, file] = process.argv.slice(2);
const { createFile } = createRequire(path.resolve(modules, "package.json"))("mp4box");

function parse(path) {
  const bytes = fs.readFileSync(path);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  buffer.fileStart = 0;
  const movie = createFile(true);
  movie.onError = (error) => { throw new Error(error); };
  movie.appendBuffer(buffer);
  movie.flush();
  return { movie, fileSize: bytes.length };
}

function samples(movie, trak) {
  return movie.getTrackSamplesInfo(trak.tkhd.track_id);
}

function track(movie, trak) {
  const { timescale, duration } = trak.mdia.mdhd;
  const edits = (trak.edts?.elst?.entries ?? []).map((edit) => [edit.segment_duration, edit.media_time]);
  return { handler: trak.mdia.hdlr.handler, timescale, duration, samples: samples(movie, trak).length, edits };
}

// Bytes of the `mdat` that belong to no sample or to two, and samples that lie outside of it.
function unaccounted(movie, mdat) {
  const ranges = movie.moov.traks.flatMap((trak) => samples(movie, trak).map(({ offset, size }) => [offset, size]));
  ranges.sort((a, b) => a[0] - b[0]);
  let place = mdat.start + mdat.hdr_size;
  let wrong = 0;
  for (const [offset, size] of ranges) {
    wrong += Math.abs(offset - place);
    place = offset + size;
  }
  return wrong + Math.abs(mdat.start + mdat.size - place);
}

const { movie, fileSize } = parse(file);
const top = movie.boxes.map(({ type, start, size }) => ({ type, start, size }));
const mdats = movie.boxes.filter((box) => box.type === "mdat");
console.log(JSON.stringify({
  fileSize,
  top,
  covered: top.reduce((sum, box) => sum + box.size, 0),
  fragmented: movie.moov?.mvex !== undefined,
  timescale: movie.moov?.mvhd.timescale,
  tracks: (movie.moov?.traks ?? []).map((trak) => track(movie, trak)),
  unaccounted: mdats.length === 1 ? unaccounted(movie, mdats[0]) : null,
}));
