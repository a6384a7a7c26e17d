"""What test participants show and say: I420 frames and 10 ms blocks of sound, as functions of time.

Pure: no clock, no LiveKit. Every pattern is built once and then only looked up, since the machine that
runs the tests has two cores and the recorder needs them.
"""

import numpy as np

SAMPLE_RATE = 48_000
BLOCK = SAMPLE_RATE // 100  # 10 ms, the only size libwebrtc takes
FLASH_PERIOD_S = 1.0
FLASH_LENGTH_S = 0.1
BEEP_HZ = 1_000
# Opus and the mixer leave room: four participants at this level do not clip.
AMPLITUDE = 0.2
BAR_STEPS = 30
NOISE_PICTURES = 24


def yuv(rgb):
    """BT.601 limited range, what libwebrtc assumes of I420 below 720 lines."""
    r, g, b = (c / 255.0 for c in rgb)
    y = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    u = 128 - 37.797 * r - 74.203 * g + 112.0 * b
    v = 128 + 112.0 * r - 93.786 * g - 18.214 * b
    return tuple(int(round(c)) for c in (y, u, v))


def i420(y, u, v):
    return bytearray(np.concatenate([y.ravel(), u.ravel(), v.ravel()]).tobytes())


def plain(width, height, rgb):
    """Planes Y, U and V of one colour. Of odd sizes the chroma planes round up."""
    y, u, v = yuv(rgb)
    half = ((height + 1) // 2, (width + 1) // 2)
    return (
        np.full((height, width), y, np.uint8),
        np.full(half, u, np.uint8),
        np.full(half, v, np.uint8),
    )


class Bar:
    """A plain colour; a white bar moves through the lowest quarter, so the centre stays plain."""

    def __init__(self, width, height, rgb):
        self._frames = [self._draw(width, height, rgb, n / BAR_STEPS) for n in range(BAR_STEPS)]

    @staticmethod
    def _draw(width, height, rgb, place):
        y, u, v = plain(width, height, rgb)
        left = int(place * (width - width // 16))
        y[height * 3 // 4 :, left : left + width // 16] = 235
        u[height * 3 // 8 :, left // 2 : (left + width // 16) // 2] = 128
        v[height * 3 // 8 :, left // 2 : (left + width // 16) // 2] = 128
        return i420(y, u, v)

    def at(self, _seconds, index):
        return self._frames[index % BAR_STEPS]


class Quarters:
    """Upper left the colour, upper right white, lower right grey, lower left black: what is up can be seen.
    The right edge of the colour moves a little, so that encoders have something to send."""

    def __init__(self, width, height, rgb):
        self._frames = [self._draw(width, height, rgb, width // 2 - 4 * n) for n in range(4)]

    @staticmethod
    def _draw(width, height, rgb, split):
        planes = plain(width, height, (0, 0, 0))
        middle = height // 2
        for rows, columns, colour in [
            (slice(0, middle), slice(0, split), rgb),
            (slice(0, middle), slice(split, width), (255, 255, 255)),
            (slice(middle, height), slice(split, width), (128, 128, 128)),
        ]:
            for plane, value, shrink in zip(planes, yuv(colour), (1, 2, 2)):
                plane[within(rows, shrink), within(columns, shrink)] = value
        return i420(*planes)

    def at(self, _seconds, index):
        return self._frames[index // 8 % 4]


def within(pixels, shrink):
    """The slice of a plane that is smaller by `shrink`."""
    return slice(-(-pixels.start // shrink), -(-pixels.stop // shrink))


class Flash:
    """Black; white for FLASH_LENGTH_S at every whole FLASH_PERIOD_S."""

    def __init__(self, width, height, _rgb):
        self._black = i420(*plain(width, height, (0, 0, 0)))
        self._white = i420(*plain(width, height, (255, 255, 255)))

    def at(self, seconds, _index):
        return self._white if flashing(seconds) else self._black


class Noise:
    """Random blocks of 8x8 pixels, all new in each frame: the most a video encoder can be asked for."""

    def __init__(self, width, height, _rgb):
        random = np.random.default_rng(7)
        self._frames = [self._draw(random, width, height) for _ in range(NOISE_PICTURES)]

    @staticmethod
    def _draw(random, width, height):
        blocks = random.integers(16, 236, (height // 8, width // 8), np.uint8)
        fine = random.integers(0, 20, (height, width), np.uint8)
        chroma = random.integers(64, 192, (2, height // 16, width // 16), np.uint8)
        y = blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
        y = np.pad(y, ((0, height - y.shape[0]), (0, width - y.shape[1])), "edge") // 2 + fine + 16
        half = ((height + 1) // 2, (width + 1) // 2)
        u, v = (np.resize(c.repeat(8, 0).repeat(8, 1), half) for c in chroma)
        return i420(y, u, v)

    def at(self, _seconds, index):
        return self._frames[index % NOISE_PICTURES]


PICTURES = {"bar": Bar, "quarters": Quarters, "flash": Flash, "noise": Noise}


def flashing(seconds):
    # Frame times are multiples of 1/fps: the small shift keeps rounding from moving an edge by a frame.
    return (seconds + 1e-6) % FLASH_PERIOD_S < FLASH_LENGTH_S


class Tone:
    """Sines, one a channel, whose frequencies are multiples of 100 Hz, so that one block repeats without a seam."""

    def __init__(self, hertz):
        for each in hertz:
            assert each % 100 == 0, f"{each} Hz is not a multiple of 100 Hz"
        phase = 2 * np.pi * np.outer(np.arange(BLOCK), hertz) / SAMPLE_RATE
        self._block = (np.sin(phase) * AMPLITUDE * 32767).astype(np.int16).tobytes()

    def at(self, _seconds):
        return self._block


class Beep:
    """A tone while the picture flashes, silence otherwise."""

    def __init__(self, hertz):
        self._tone = Tone([BEEP_HZ] * len(hertz))
        self._silence = silence(len(hertz))

    def at(self, seconds):
        return self._tone.at(seconds) if flashing(seconds) else self._silence


def silence(channels):
    return bytes(2 * BLOCK * channels)


SOUNDS = {"bar": Tone, "quarters": Tone, "noise": Tone, "flash": Beep}
