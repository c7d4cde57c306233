"""Moving to an archive: what it acknowledged may be let go of here, and comes back byte for byte."""

import json
import random

from hypothesis import strategies as st
from hypothesis.stateful import rule

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import IntegrityError, NotFound
from tests.store.machines.letting_go import LettingGoRules
from tests.store.machines.lines import line
from tests.store.machines.sharing import OURS, Far, SharingRules, lines, shares, some

_TENSORS = 3
_TENSOR_BYTES = 1_200
_MODELS = 4


def weights(model: int, tuned: int) -> bytes:
    """A small safetensors file: each model has a base, and fine-tunes whose numbers differ a little from it."""
    bodies = [bytearray(random.Random(f"{model} {number}").randbytes(_TENSOR_BYTES)) for number in range(_TENSORS)]
    for body in bodies[: tuned and _TENSORS]:
        chance = random.Random(f"{model} {tuned}")
        for at in range(0, _TENSOR_BYTES, 2):
            body[at] = (body[at] + chance.randrange(tuned + 1)) % 256
    header = {
        f"layer.{number}": {
            "dtype": "BF16",
            "shape": [_TENSOR_BYTES // 2],
            "data_offsets": [number * _TENSOR_BYTES, (number + 1) * _TENSOR_BYTES],
        }
        for number in range(_TENSORS)
    }
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + b"".join(bodies)


class ArchivingRules(SharingRules, LettingGoRules):
    """A second remote, which takes what is let go of here."""

    def __init__(self) -> None:
        super().__init__()
        self.cold = Far(self.folder / "cold")

    def teardown(self) -> None:
        try:
            self.restore(self.cold)
        finally:
            super().teardown()

    @rule(model=st.integers(0, _MODELS - 1), tuned=st.integers(0, 3))
    def add_weights(self, model: int, tuned: int) -> None:
        data = weights(model, tuned)
        with self.other.writer() as writer:
            writer.add_bytes(data)
            writer.commit()
        self.acknowledge({hash_bytes(data): data}, self.other)

    @rule(share=shares, way=lines, is_let_go=st.booleans())
    def archive(self, share: int, way: tuple[str, int], is_let_go: bool) -> None:
        """Copy some of what is here to the archive, and once it has acknowledged that, have them deleted here."""
        kind, seed = way
        digests = some(self.acknowledged, share)
        bases: dict[Digest, list[Digest]] = {digest: [*self.cold.reached] for digest in digests}
        remote = self.remote(self.cold, OURS, line(self.cold.root, kind, seed))
        try:
            is_there = self.send(self.cold, self.store, digests, remote, may_die=kind == "dying", bases=bases)
        except (IntegrityError, NotFound):
            assert set(digests) & self.spoilt
            return
        if not is_there:
            return
        self.reach(self.cold, {digest: self.acknowledged[digest] for digest in digests})
        if is_let_go:
            for digest in digests:
                del self.acknowledged[digest]
            self.let_go()

    @rule(share=shares, way=lines)
    def bring_back(self, share: int, way: tuple[str, int]) -> None:
        kind, seed = way
        remote = self.remote(self.cold, OURS, line(self.cold.root, kind, seed))
        digests = some(self.cold.reached, share)
        got = self.fetch(self.cold, self.store, digests, remote, may_die=kind == "dying")
        self.acknowledge({digest: self.cold.reached[digest] for digest in got}, self.store)

    @rule()
    def somebody_restores_from_the_archive(self) -> None:
        self.restore(self.cold)
