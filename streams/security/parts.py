"""Parts of a text that is signed or authenticated, put together so that no two lists of parts make the same bytes.

Each part is preceded by its length in 4 bytes, big-endian; a part that is null is 0xFFFFFFFF and nothing else.
"""

import struct

NULL = b"\xff\xff\xff\xff"
_length = struct.Struct(">I").pack


def join_parts(*parts: bytes | None) -> bytes:
    """All parts, each with its length before it."""
    return b"".join([NULL if part is None else _length(len(part)) + part for part in parts])
