"""The example domain: a shop's orders. Nothing imports it; HEADRACE_APP names it, and it may be deleted."""

from streams.commerce.conversions import converters

__all__ = ["converters"]
