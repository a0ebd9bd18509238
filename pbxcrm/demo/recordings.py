"""Short recordings for the calls of the sample company: two voices that hum in turns, since nobody's real talk may be shipped."""

import math
import wave
from array import array
from dataclasses import dataclass
from pathlib import Path

RATE = 8000  # samples per second, as a telephone has
LOUDNESS = 6000  # of 32767


@dataclass(frozen=True, slots=True)
class SampleRecording:
    """A recording: who hums how long. ``turns``: seconds, the client and the seller by turns."""

    name: str
    client_hertz: int
    turns: tuple[float, ...]


RECORDINGS = (
    SampleRecording("sample-1.wav", 210, (1.2, 0.8, 1.5, 0.6)),
    SampleRecording("sample-2.wav", 165, (0.7, 1.6, 0.5, 1.1, 0.6)),
    SampleRecording("sample-3.wav", 190, (2.0, 0.5, 0.9)),
    SampleRecording("sample-4.wav", 240, (0.5, 0.5, 1.8, 1.0)),
)
SELLER_HERTZ = 130


def write_recordings(folder: Path) -> None:
    """Write the files that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for recording in RECORDINGS:
        path = folder / recording.name
        if not path.exists():
            _write(path, recording)


def _write(path: Path, recording: SampleRecording) -> None:
    samples = array("h")
    for nth, seconds in enumerate(recording.turns):
        hertz = SELLER_HERTZ if nth % 2 else recording.client_hertz
        count = int(seconds * RATE)
        for at in range(count):
            swell = math.sin(math.pi * at / count) * (0.6 + 0.4 * math.sin(2 * math.pi * 3.5 * at / RATE))  # syllables
            samples.append(int(LOUDNESS * swell * math.sin(2 * math.pi * hertz * at / RATE)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
