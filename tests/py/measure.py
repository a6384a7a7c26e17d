"""Measurements of a finished recording with tools that are not ours; every answer is one line of JSON.

    measure.py tones FILE HZ...         level of each frequency, in dB over the median of the spectrum
    measure.py stereo FILE FROM TO HZ...
                                        amplitude of each frequency in each channel, full scale being 1, between two times
    measure.py silence FILE FROM TO     the largest sample between two times, full scale being 1
    measure.py flashes FILE             when each flash is seen, and by how many seconds its beep comes later
    measure.py bars FILE FROM TO X,Y,W,H...
                                        how the moving bar of the test picture (`pictures.Bar`) went on in each of these
                                        tiles, between two times in seconds
"""

import json
import subprocess
import sys

import numpy as np

SAMPLE_RATE = 48_000
# The beep's own envelope is looked at in steps of this: far below the tolerance of any test.
STEP = SAMPLE_RATE // 1000
BEEP_HZ = 1_000
# As in `pictures.Bar`.
BAR_STEPS = 30


# --- sound -------------------------------------------------------------------------------------------


def ffmpeg(*args):
    command = ["ffmpeg", "-v", "error", "-nostdin", *args, "-"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def sound(path):
    """The sound as the player hears it: mono, placed by its timestamps (edit list included)."""
    raw = ffmpeg("-i", path, "-map", "0:a", "-af", "aresample=async=1:first_pts=0", "-ac", "1", "-f", "s16le")
    return np.frombuffer(raw, np.int16).astype(np.float64) / 32768


def tones(path, frequencies):
    samples = sound(path)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    # A tone's energy lies within a few Hz; the median of the speech band is what is "not a tone".
    floor = np.median(spectrum[(hertz > 100) & (hertz < 8000)]) + 1e-9
    levels = {}
    for frequency in frequencies:
        peak = spectrum[np.abs(hertz - frequency) < 5].max()
        levels[str(frequency)] = round(20 * np.log10(peak / floor + 1e-12), 1)
    return levels


def channels(path, start, end):
    """Left and right between two times in seconds, placed as the player hears them."""
    raw = ffmpeg("-i", path, "-map", "0:a", "-af", "aresample=async=1:first_pts=0", "-ac", "2", "-f", "s16le")
    pairs = np.frombuffer(raw, np.int16).reshape(-1, 2).astype(np.float64) / 32768
    return pairs[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)].T


def stereo(path, start, end, frequencies):
    answer = []
    for samples in channels(path, start, end):
        window = np.hanning(len(samples))
        spectrum = np.abs(np.fft.rfft(samples * window)) * 2 / window.sum()
        hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
        answer.append({str(f): round(float(spectrum[np.abs(hertz - f) < 5].max()), 4) for f in frequencies})
    return answer


def silence(path, start, end):
    return {"peak": float(np.abs(channels(path, start, end)).max())}


def beeps(samples):
    """Times at which the beep begins: its band's envelope rises through half of its usual height."""
    time = np.arange(len(samples)) / SAMPLE_RATE
    mixed = samples * np.exp(-2j * np.pi * BEEP_HZ * time)
    window = 5 * STEP  # five periods of the beep: averages its double frequency away
    envelope = np.abs(np.convolve(mixed, np.ones(window) / window, "same"))[::STEP]
    return rising(envelope, envelope.max() / 2) * STEP / SAMPLE_RATE


# --- pictures ----------------------------------------------------------------------------------------


def brightness(path):
    """(time, mean luma) of each frame, scaled down to 16x16 by ffmpeg."""
    raw = ffmpeg("-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-vf", "scale=16:16", "-pix_fmt", "gray", "-f", "rawvideo")
    luma = np.frombuffer(raw, np.uint8).reshape(-1, 256).mean(axis=1)
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=best_effort_timestamp_time", "-of", "csv=p=0", path]
    lines = subprocess.run(probe, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    times = np.array([float(line.strip(",")) for line in lines])
    assert len(times) == len(luma), f"{len(times)} timestamps for {len(luma)} frames"
    return times, luma


def rising(values, threshold):
    """Indices (with the part between two of them) at which `values` rise through `threshold`."""
    above = values >= threshold
    edges = np.flatnonzero(~above[:-1] & above[1:])
    return edges + (threshold - values[edges]) / (values[edges + 1] - values[edges])


def flashes(path):
    """Beep minus flash of each pair, which are nearest to each other; a flash without a beep within half a period is a null."""
    times, luma = brightness(path)
    bright = luma > (luma.max() + luma.min()) / 2
    # The flash begins with the first bright frame: its own time, since frames are shown whole.
    begun = times[1:][bright[1:] & ~bright[:-1]]
    heard = beeps(sound(path))
    offsets = []
    for flash in begun:
        nearest = heard[np.abs(heard - flash).argmin()] if len(heard) else np.inf
        # A flash from before the first sound is not the partner of the next one's beep.
        mutual = begun[np.abs(begun - nearest).argmin()] == flash
        offsets.append(round(float(nearest - flash), 4) if mutual and abs(nearest - flash) < 0.5 else None)
    times = [round(float(flash), 4) for flash in begun]
    return {"flashes": len(begun), "beeps": len(heard), "times": times, "offsets": offsets}


def frames(path, start, end):
    """(width, height) and the luma of each frame from `start` until `end`."""
    probe = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "csv=p=0", path]
    width, height = map(int, subprocess.run(probe, check=True, stdout=subprocess.PIPE, text=True).stdout.split(","))
    raw = ["-ss", str(start), "-to", str(end), "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo"]
    command = ["ffmpeg", "-v", "error", "-nostdin", *raw, "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as decoder:
        while len(luma := decoder.stdout.read(width * height)) == width * height:
            yield np.frombuffer(luma, np.uint8).reshape(height, width)


def bar_step(tile):
    """Which step the bar is at, by the brightest piece of its width in the middle of the lowest quarter."""
    height, width = tile.shape
    rows = tile[height * 27 // 32 : height * 30 // 32].mean(axis=0)
    bar = width // 16
    brightness = np.convolve(rows, np.ones(bar) / bar, "valid")
    return round(brightness.argmax() / (width - bar) * BAR_STEPS) % BAR_STEPS


def bars(path, start, end, tiles):
    """Of each tile: how many new pictures it showed, how many it left out, and how often it went back."""
    steps = [[] for _ in tiles]
    for frame in frames(path, start, end):
        for (x, y, width, height), seen in zip(tiles, steps):
            seen.append(bar_step(frame[y : y + height, x : x + width]))
    answer = []
    for seen in steps:
        moves = np.diff(seen) % BAR_STEPS
        forward = moves[(moves > 0) & (moves < BAR_STEPS // 2)]
        back = int((moves >= BAR_STEPS // 2).sum())
        answer.append({"frames": len(seen), "shown": len(forward), "missed": int(forward.sum() - len(forward)), "back": back})
    return answer


def main():
    what, path, *rest = sys.argv[1:]
    match what:
        case "tones":
            answer = tones(path, [int(hertz) for hertz in rest])
        case "stereo":
            start, end, *frequencies = rest
            answer = stereo(path, float(start), float(end), [int(hertz) for hertz in frequencies])
        case "silence":
            answer = silence(path, *map(float, rest))
        case "flashes":
            answer = flashes(path)
        case "bars":
            start, end, *tiles = rest
            answer = bars(path, float(start), float(end), [tuple(map(int, tile.split(","))) for tile in tiles])
        case unknown:
            sys.exit(f"unknown measurement {unknown}")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
