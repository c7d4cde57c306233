"""Cutting so fine that a few bytes make a large blob."""

from holdfast.store.cut import Cutting, Sizes

FINE = Cutting(large_bytes_min=1000, plain=Sizes(64, 256, 1024), text=Sizes(64, 256, 1024), tensor_stride=512)
"""The smallest chunks that can be cut, for what has a thousand bytes or more."""
