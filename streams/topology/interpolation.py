"""`${NAME}` and `${NAME:-default}` in the values of topology.yaml; `$$` is a dollar sign before a brace.

As in Compose files, so that people need not learn another rule. Pure: the environment comes in.
"""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$(?=\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|\$\{")


class NotInterpolated(Exception):
    """A reference that cannot be resolved; the message is that of the finding."""


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """`text` with its references replaced; an empty variable counts as unset where a default is given.

    Raises:
        NotInterpolated: a variable is not set and has no default, or the reference is malformed.
    """
    if "${" not in text:
        return text
    return _REFERENCE.sub(lambda match: _replacement(match, environment), text)


def _replacement(match: re.Match[str], environment: Mapping[str, str]) -> str:
    if match[0] == "$$":
        return "$"
    name, default = match["name"], match["default"]
    if name is None:
        raise NotInterpolated("${ without a name and }; ${NAME} or ${NAME:-default} is read; write $${ for the text ${")
    if default is not None:
        return environment.get(name) or default.removeprefix(":-")
    if name not in environment:
        raise NotInterpolated(f"${{{name}}} is not set; it has no default; export it or write ${{{name}:-default}}")
    return environment[name]
