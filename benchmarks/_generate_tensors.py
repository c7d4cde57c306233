"""A family of models as safetensors files from a seed: a base, five fine-tunes of a few tensors, five of all.

The base has the shapes of a small decoder: embedding, five layers of nine tensors, a norm and a head; 48 tensors of
bfloat16 drawn from normal(0, 0.02), 200 MB at full scale. Models 2 to 6 change tensors that hold about 10 % of the
bytes; models 7 to 11 change all of them. A weight that changes does so by about 1 % of the standard deviation. Tensors
are written one by one, so memory stays flat.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SEED = 40_001
LAYERS = 5
HIDDEN, VOCABULARY = 1_024, 17_408
STANDARD_DEVIATION = 0.02
DELTA = 0.01  # of the standard deviation
SHARE_TUNED = 0.10
TUNED_IN_PART, TUNED_WHOLLY = 5, 5
MODELS = 1 + TUNED_IN_PART + TUNED_WHOLLY


@dataclass(frozen=True, slots=True)
class Shape:
    """One tensor: its name and its dimensions."""

    name: str
    dimensions: tuple[int, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return 2 * int(np.prod(self.dimensions))


@dataclass(frozen=True, slots=True)
class Family:
    """All models of one seed and scale.

    Attributes:
        hidden: the width of the decoder, a multiple of 16.
        vocabulary: rows of the embedding and of the head.
        seed: of every weight.
    """

    hidden: int = HIDDEN
    vocabulary: int = VOCABULARY
    seed: int = SEED

    @classmethod
    def of_scale(cls, scale: float, seed: int = SEED) -> "Family":
        """A family whose files are about `scale` times as large."""
        side = scale**0.5
        return cls(max(16, round(HIDDEN * side / 16) * 16), max(64, round(VOCABULARY * side)), seed)

    def shapes(self) -> list[Shape]:
        """The tensors, in the order of the file."""
        wide, inner = self.hidden, self.hidden * 11 // 4
        found = [Shape("model.embed_tokens.weight", (self.vocabulary, wide))]
        for layer in range(LAYERS):
            inside = {
                **{f"self_attn.{name}_proj": (wide, wide) for name in "qkvo"},
                "mlp.gate_proj": (inner, wide),
                "mlp.up_proj": (inner, wide),
                "mlp.down_proj": (wide, inner),
                "input_layernorm": (wide,),
                "post_attention_layernorm": (wide,),
            }
            found += [Shape(f"model.layers.{layer}.{name}.weight", sides) for name, sides in inside.items()]
        return [*found, Shape("model.norm.weight", (wide,)), Shape("lm_head.weight", (self.vocabulary, wide))]

    def tuned(self, model: int) -> set[str]:
        """Which tensors of model 1, 2, 3 … differ from the base."""
        shapes = self.shapes()
        if model == 1:
            return set()
        if model > 1 + TUNED_IN_PART:
            return {shape.name for shape in shapes}
        wanted = SHARE_TUNED * sum(shape.size for shape in shapes)
        chosen: dict[str, int] = {}
        for place in np.random.default_rng([self.seed, model]).permutation(len(shapes)).tolist():
            if sum(chosen.values()) + shapes[place].size <= wanted * 1.05:
                chosen[shapes[place].name] = shapes[place].size
        return set(chosen)

    def write(self, model: int, path: Path) -> None:
        """Write model 1, 2, 3 …: eight bytes with the header's length, the header, the tensors."""
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        place = 0
        for shape in self.shapes():
            header[shape.name] = {
                "dtype": "BF16",
                "shape": list(shape.dimensions),
                "data_offsets": [place, place + shape.size],
            }
            place += shape.size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # so that the tensors begin at a multiple of eight
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for weights in self._tensors(model):
                weights.tofile(file)

    def _tensors(self, model: int) -> Iterator[NDArray[np.uint16]]:
        tuned = self.tuned(model)
        for number, shape in enumerate(self.shapes()):
            weights = rounded(STANDARD_DEVIATION * _normal(shape, self.seed, 1, number))
            if shape.name in tuned:
                moved = STANDARD_DEVIATION * DELTA * _normal(shape, self.seed, model, number)
                weights = rounded(widened(weights) + moved)
            yield weights


def _normal(shape: Shape, *seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape.dimensions, dtype=np.float32)


def rounded(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The nearest bfloat16 of each value, ties to even, as its bits."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def widened(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The value of each bfloat16."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
