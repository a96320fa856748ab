"""Smooth poses in videos: each joint follows its measurements according to their certainty."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from rlepose.errors import InputError
from rlepose.inference.poses import PersonPose
from rlepose.pose.geometry import Floats

_SAME_PERSON = 0.3  # minimum IoU of a person's boxes in successive frames
_FRAMES_TO_KEEP = 5  # number of frames for which an unseen person is remembered

NO_SIGMA = "--smooth: weighs joints by their sigma, but this model has none; add one with `rlepose recalibrate`"


@dataclasses.dataclass
class _Track:
    """A person's joints (K, 2) px, their variance (K, 2) px², the last box, and the number of frames since."""

    keypoints: Floats
    variance: Floats
    bbox_xywh: Floats
    unseen: int = 0


class Smoother:
    """A Kalman filter for each coordinate, with a random walk as motion model; call it with the persons of each frame.

    A joint may move with standard deviation `drift` · s per frame, where s is the longer side of the person's box, so
    its variance v grows by (drift · s)². A measurement z with standard deviation sigma then moves the joint by
    v / (v + sigma²) of the distance to z, and v becomes v sigma² / (v + sigma²): the mean of all measurements so far,
    weighted by 1 / sigma² and by age. Certain joints follow at once; uncertain joints stay where more certain frames
    placed them, and lag behind.

    Boxes of successive frames that overlap by 30 % or more belong to the same person, best pairs first. Only
    `keypoints` change. `std` still refers to the frame: errors of successive frames are correlated, so the filter's v
    is too small.
    """

    def __init__(self, drift: float = 0.02) -> None:
        self.drift = drift
        self._tracks: list[_Track] = []

    def __call__(self, persons: Sequence[PersonPose]) -> tuple[PersonPose, ...]:
        """Return the same persons, smoothed. Raises InputError for poses without std."""
        for track in self._tracks:
            track.variance = track.variance + (self.drift * track.bbox_xywh[2:].max()) ** 2
            track.unseen += 1
        overlaps = _overlaps([t.bbox_xywh for t in self._tracks], [p.bbox_xywh for p in persons])
        smoothed = list(persons)
        new = set(range(len(persons)))
        while overlaps.size and overlaps.max() >= _SAME_PERSON:
            old, number = divmod(int(overlaps.argmax()), len(persons))
            overlaps[old], overlaps[:, number] = 0, 0
            new.discard(number)
            smoothed[number] = self._follow(self._tracks[old], persons[number])
        self._tracks = [track for track in self._tracks if track.unseen <= _FRAMES_TO_KEEP]
        self._tracks += [_Track(p.keypoints, _variance(p), p.bbox_xywh) for p in (persons[i] for i in sorted(new))]
        return tuple(smoothed)

    @staticmethod
    def _follow(track: _Track, person: PersonPose) -> PersonPose:
        measured = _variance(person)
        gain = track.variance / (track.variance + measured)
        track.keypoints = track.keypoints + gain * (person.keypoints - track.keypoints)
        track.variance = gain * measured
        track.bbox_xywh, track.unseen = person.bbox_xywh, 0
        return dataclasses.replace(person, keypoints=track.keypoints)


def _variance(person: PersonPose) -> Floats:
    if person.std is None:
        raise InputError(NO_SIGMA)
    return np.square(person.std)


def _overlaps(first: Sequence[Floats], second: Sequence[Floats]) -> Floats:
    """Return the intersection over union of boxes xywh: (M, N)."""
    a, b = np.array(first, float).reshape(-1, 1, 4), np.array(second, float).reshape(1, -1, 4)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    return common / (np.prod(a[..., 2:], axis=-1) + np.prod(b[..., 2:], axis=-1) - common)
