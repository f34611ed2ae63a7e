import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.config import ROLES, Settings

token = st.from_regex(r"[A-Za-z0-9._~+/-]{1,30}={0,2}", fullmatch=True)


def settings(tokens: str, own: str = "") -> Settings:
    return Settings.model_validate({"web_tokens": tokens, "token": own})


@given(st.dictionaries(token, st.sampled_from(ROLES)))
def test_tokens_are_read_back_with_their_roles(roles: dict[str, str]) -> None:
    assert settings(", ".join(f"{text}:{role}" for text, role in roles.items())).web_roles() == roles


@pytest.mark.parametrize("tokens", ["s3cret", "s3cret:king", ":viewer", "s3 cret:viewer", "s3cret:viewer,s3cret:admin"])
def test_malformed_tokens_are_refused_without_quoting_them(tokens: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(tokens)
    assert "s3" not in refused.value.errors()[0]["msg"]


def test_tokens_are_redacted_when_settings_are_printed() -> None:
    assert "s3cret" not in repr(settings("s3cret:viewer", "s3cret"))


def test_commands_send_their_own_token_or_the_first_of_the_worker() -> None:
    assert settings("").bearer_token() == ""
    assert settings("a:viewer,b:admin").bearer_token() == "a"
    assert settings("a:viewer", "mine").bearer_token() == "mine"
