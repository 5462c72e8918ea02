"""Arrays as safetensors, every type to the bit: NumPy itself has no bfloat16.

With ml_dtypes installed, as it is wherever JAX is, a bfloat16 array is one of ml_dtypes' own. Where
it is not, the array's type is `[("bfloat16", "<u2")]`: the same bits, with which nothing can be
computed, but everything can be stored and handed on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

BITS = np.dtype([("bfloat16", "<u2")])


def bfloat16() -> np.dtype:
    """The type of bfloat16 arrays in this installation."""
    try:
        from ml_dtypes import bfloat16 as own
    except ImportError:
        return BITS
    return np.dtype(own)


def is_bfloat16(array: Any) -> bool:
    """Whether a NumPy array holds bfloat16."""
    return array.dtype == BITS or array.dtype.name == "bfloat16"


def type_name(array: Any) -> str:
    """The name of an array's type.

    >>> type_name(np.zeros(2, BITS)), type_name(np.zeros(2, np.float32))
    ('bfloat16', 'float32')
    """
    return "bfloat16" if is_bfloat16(array) else array.dtype.name


def to_bytes(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> bytes:
    """The arrays as the bytes of a safetensors file.

    >>> arrays, metadata = from_bytes(to_bytes({"w": np.ones(2)}, {"of": "me"}))
    >>> arrays["w"].tolist(), metadata
    ([1.0, 1.0], {'of': 'me'})
    """
    from safetensors.numpy import save

    own = {name: np.array(a, order="C", copy=True) for name, a in arrays.items()}
    halves = {name for name, a in own.items() if is_bfloat16(a)}
    plain = {name: a.view("<u2") if name in halves else a for name, a in own.items()}
    data = save(plain, None if metadata is None else dict(metadata))
    return _retyped(data, halves, "BF16") if halves else data


def from_bytes(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a safetensors file, each with memory of its own, and the file's metadata.

    Raises:
        SafetensorError: it is no such file.
    """
    from safetensors.numpy import load

    header = _header(data)
    metadata = header.pop("__metadata__", {})
    halves = {name for name, entry in header.items() if entry["dtype"] == "BF16"}
    found = load(_retyped(data, halves, "U16") if halves else data)
    kind = bfloat16()
    return {
        name: np.array(a.view(kind) if name in halves else a) for name, a in found.items()
    }, metadata


def _header(data: bytes) -> dict[str, Any]:
    from safetensors import SafetensorError

    try:
        return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except ValueError as error:
        raise SafetensorError(f"it has no header ({error})") from None


def _retyped(data: bytes, names: set[str], kind: str) -> bytes:
    """The file with some of its arrays called another type, of as many bytes."""
    header = _header(data)
    for name in names:
        header[name]["dtype"] = kind
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    rest = data[8 + int.from_bytes(data[:8], "little") :]
    return len(text).to_bytes(8, "little") + text + rest
