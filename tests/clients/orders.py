"""An order as bytes, written down from Avro's specification, and the headers that go with it: nobody's encoder."""

# Id 1; zigzag lengths before texts and decimals; no lines; the null branch of `note`.
ORDER = b"\x00\x00\x00\x00\x01\x0aORD-1\x06C-7\x04\x07\xd0\x06EUR\x04DE\x00\x00"
# The same with lengths and amounts whose bytes are text, as the console producer needs them.
ORDER_OF_TEXT = b"\x00\x00\x00\x00\x01\x0eORD-100\x06C-7\x02d\x06EUR\x04DE\x00\x00"


def headers_of(source: str, number: int = 1) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{source}-{number}".encode()),
        ("ce_type", b"order"),
        ("ce_source", source.encode()),
        ("ce_time", b"2026-11-25T00:00:00Z"),
    ]
