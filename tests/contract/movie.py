"""What is in a finished file, measured with ffprobe, ffmpeg and a reader of boxes that is not egressd's."""

import json
import struct
import subprocess
from fractions import Fraction

import numpy as np

RATE = 48_000


def probe(file):
    """What ffprobe says about streams and container, and when each frame of the picture is shown."""
    entries = "stream:format:packet=pts_time,stream_index"
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", entries, str(file)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    streams = {stream["codec_type"]: stream for stream in found["streams"]}
    video = streams.get("video", {}).get("index")
    shown = sorted(float(packet["pts_time"]) for packet in found["packets"] if packet["stream_index"] == video)
    return streams, found["format"], shown


def boxes(file):
    """The types of the boxes at the top, in order (ISO/IEC 14496-12, section 4.2)."""
    data, at, found = memoryview(file.read_bytes()), 0, []
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
        found.append(kind.decode())
        at += size or len(data) - at
    assert at == len(data), f"the last box ends at {at} of {len(data)}"
    return found


def picture_in(data):
    """The picture of a JPEG file."""
    command = ["ffmpeg", "-v", "error", "-i", "-", "-f", "image2pipe", "-c:v", "ppm", "-"]
    done = subprocess.run(command, check=True, input=data, stdout=subprocess.PIPE).stdout
    # P6, width and height, the greatest value, each on a line of its own; then the pixels.
    _, size, _, pixels = done.split(b"\n", 3)
    width, height = map(int, size.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def frames(file, start, end, rate):
    """The pictures between two times, so many a second: rows of pixels of three bytes."""
    cut = ["-ss", f"{start:.3f}", "-t", f"{end - start:.3f}", "-i", str(file), "-vf", f"fps={rate}"]
    command = ["ffmpeg", "-v", "error", "-nostdin", *cut, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    streams, _, _ = probe(file)
    return np.frombuffer(raw, np.uint8).reshape(-1, streams["video"]["height"], streams["video"]["width"], 3)


def colour(picture, x, y, around=8):
    """The mean colour around a point."""
    return picture[y - around : y + around, x - around : x + around].reshape(-1, 3).mean(axis=0)


def same_colour(seen, expected):
    """Within what BT.601 or 709, chroma at half size and the encoder leave of a plain colour."""
    return max(abs(a - b) for a, b in zip(seen, expected)) < 45


def tones(file, start, end, *hertz):
    """How loud each frequency is between two times, in dB over the median of the spectrum."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(file), "-ac", "1", "-f", "s16le", "-"]
    samples = np.frombuffer(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, np.int16)
    samples = samples[int(start * RATE) : int(end * RATE)].astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    scale = np.fft.rfftfreq(len(samples), 1 / RATE)
    floor = np.median(spectrum[(scale > 100) & (scale < 8000)]) + 1e-9
    return {f: 20 * np.log10(spectrum[np.abs(scale - f) < 5].max() / floor + 1e-12) for f in hertz}


def frame_rate(stream):
    return Fraction(stream["avg_frame_rate"]), Fraction(stream["r_frame_rate"])
