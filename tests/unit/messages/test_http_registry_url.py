"""A registry's password is in no message."""

import pytest

from streams.errors import HeadraceError
from streams.messages.http_registry import HttpRegistry, without_password


@pytest.mark.parametrize("url", ["http://bob:secret@127.0.0.1:1/apis", "ftp://bob:secret@host"])
def test_what_is_refused_or_not_reachable_does_not_show_the_password(url: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        HttpRegistry(url).all()
    assert "secret" not in str(refused.value)
    assert "***" in str(refused.value)


def test_a_url_without_one_is_shown_as_it_is() -> None:
    assert without_password("http://127.0.0.1:8081/a@b") == "http://127.0.0.1:8081/a@b"
