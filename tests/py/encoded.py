"""Pictures encoded beforehand by FFmpeg, as H.264 of the high profile, which libwebrtc's own encoder lacks.

Pure but for the FFmpeg process: pictures in, access units in Annex B form out, the first of them a keyframe.
"""

import subprocess

# Delimiters tell where an access unit ends; headers go before every keyframe; no frame is out of order.
X264 = "aud=1:repeat-headers=1:bframes=0:keyint=300"
DELIMITER = b"\x00\x00\x00\x01\x09"


def h264_high(pictures, width, height, fps, kbps):
    """The access units of I420 pictures."""
    command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p"]
    command += ["-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:", "-b:v", f"{kbps}k"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-x264-params", X264, "-f", "h264", "-"]
    done = subprocess.run(command, input=b"".join(pictures), stdout=subprocess.PIPE, check=True)
    units = [DELIMITER + unit for unit in done.stdout.split(DELIMITER)[1:]]
    assert len(units) == len(pictures), f"{len(units)} access units of {len(pictures)} pictures"
    return units
