"""Arrow arrays from numpy, made of their buffers: ``pa.array`` imports pandas, which takes longer than an audit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fairaudit.predictions import MISSING, BoolArray, FloatArray, IntArray


def text_array(texts: Sequence[str]) -> pa.Array:
    """Texts, none missing.

    Args:
        texts: (n,) together at most 2 GiB of UTF-8.
    """
    encoded = [text.encode("utf-8") for text in texts]
    ends = np.zeros(len(encoded) + 1, dtype=np.int32)
    np.cumsum([len(one) for one in encoded], out=ends[1:])
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(encoded)))


def number_array(numbers: FloatArray) -> pa.Array:
    """Numbers as doubles, nan as missing.

    Args:
        numbers: (n,) any floats.
    """
    plain = np.ascontiguousarray(numbers, dtype=np.float64)
    return _primitive(pa.float64(), plain.tobytes(), ~np.isnan(plain))


def level_array(codes: IntArray, levels: Sequence[str]) -> pa.Array:
    """A dictionary-encoded column that declares every level, in order, whether or not a row has it.

    Args:
        codes: (n,) index into ``levels``, ``MISSING`` where not known.
        levels: the declared levels.
    """
    indices = _primitive(pa.int32(), np.maximum(codes, 0).astype(np.int32).tobytes(), codes != MISSING)
    return pa.DictionaryArray.from_arrays(indices, text_array(levels))


def _primitive(kind: pa.DataType, data: bytes, valid: BoolArray) -> pa.Array:
    present = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    return pa.Array.from_buffers(kind, len(valid), [present, pa.py_buffer(data)])
