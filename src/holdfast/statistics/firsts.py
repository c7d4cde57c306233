"""The first error of each key, counted once over steps and replicas: what a rollout by keys may be judged by.

    seen = Firsts()
    seen.add("user-7", step=0, candidate=True)
    everybody = Firsts.merged([seen, *of_other_replicas])
    everybody.counts(shares)                 for holdfast.statistics.sequential.error_evidence

A key that fails at two replicas, or at two steps, is one key. So replicas tell each other which keys they mean, by a
number of 32 bits, and not only how many. The first `KEYS_MAX` are kept and later ones are not looked at, whichever
side they are on: stopping to count is fair, forgetting is not.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from struct import iter_unpack, pack

from holdfast.statistics.sequential import Counts

__all__ = ["KEYS_MAX", "STEPS_MAX", "Firsts"]

KEYS_MAX = 4096
"""Keys with an error that one replica keeps, and that are judged: 22 kB as text. Twice as many errors as on the other
side are found within a few hundred."""

STEPS_MAX = 128
"""Steps of a rollout: a step and a side take one byte."""

_ROW = ">IB"


class Firsts:
    """Keys that failed, each with the step and the side of its first error. Grows; can be merged with others."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}

    def add(self, key: str, *, step: int, candidate: bool, salt: str = "") -> bool:
        """Take an error of a key.

        Args:
            key: whose request failed.
            step: of the rollout's plan, from 0.
            candidate: whether the version that is tried failed.
            salt: of the rollout, so that the numbers tell nobody who the keys are; the same at all replicas.

        Returns:
            Whether it counts: it is the key's first, and there was room.
        """
        said = f"first:{salt}:{key}".encode("utf-8", "surrogatepass")
        number = int.from_bytes(sha256(said).digest()[:4], "big")
        return self._take(number, _place(step, candidate=candidate))

    def counts(self, shares: Sequence[float]) -> list[Counts]:
        """The errors of each step.

        Args:
            shares: of the candidate at each step.
        """
        sums = [[0, 0] for _ in shares]
        for place in self._first.values():
            step, other = divmod(place, 2)
            if step < len(shares):
                sums[step][other] += 1
        return [Counts(mine, theirs, share) for (mine, theirs), share in zip(sums, shares, strict=True)]

    @classmethod
    def merged(cls, all_of_them: "Iterable[Firsts]") -> "Firsts":
        """The keys of several replicas: where they name the same key, the earlier step counts.

        At the same step on both sides, as while replicas change steps one after another, the key counts for the other
        version: what is in doubt speaks for the candidate. More than `KEYS_MAX` may come together; they all count.
        """
        found = cls()
        for one in all_of_them:
            for number, place in one:
                # Of one step the candidate's place is even and the other's odd, and the other's is to win.
                known = found._first.get(number, place)
                found._first[number] = max(known, place) if known // 2 == place // 2 else min(known, place)
        return found

    def to_text(self) -> str:
        """Five bytes for each key, in base64."""
        return b64encode(b"".join(pack(_ROW, *row) for row in sorted(self._first.items()))).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> "Firsts":
        """What `to_text` wrote.

        Raises:
            ValueError: it did not, or there are more than one replica keeps.
        """
        found, raw = cls(), b64decode(text, validate=True)
        if len(raw) % 5 or len(raw) > 5 * KEYS_MAX:
            raise ValueError(f"{len(raw)} bytes are no list of at most {KEYS_MAX} keys")
        found._first = dict(iter_unpack(_ROW, raw))
        return found

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._first.items())

    def __len__(self) -> int:
        return len(self._first)

    def _take(self, number: int, place: int) -> bool:
        if number in self._first or len(self._first) >= KEYS_MAX:
            return False
        self._first[number] = place
        return True


def _place(step: int, *, candidate: bool) -> int:
    if not 0 <= step < STEPS_MAX:
        raise ValueError(f"step {step} is none of {STEPS_MAX}")
    return 2 * step + (0 if candidate else 1)
