"""What a server says it wants to be shown: the header ``WWW-Authenticate``, read with suspicion.

Sources: RFC 9110, section 11.6.1 (challenges; several may stand in one header), RFC 6750, section 3 (Bearer).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

_LONGEST = 8_192
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the grammar's "token", no secret
_SCHEME = re.compile(rf"\s*({_TOKEN})(?:[ \t]+|$|(?=,))")
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")\s*(?=,|$)')
_TOKEN68 = re.compile(r"\s*[A-Za-z0-9._~+/-]+=*\s*(?=,|$)")
_ESCAPED = re.compile(r"\\(.)")


@frozen
class Challenge:
    """One of them: scheme and parameter names in lower case."""

    scheme: str
    parameters: Mapping[str, str]

    def get(self, name: str) -> str:
        """The parameter *name*, or an empty string."""
        return self.parameters.get(name, "")


def challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges in *header*, up to the first place that no grammar explains.

    A parameter that is given twice makes its challenge worthless, so that one is left out: two programs could read
    two different realms in it.
    """
    found: list[Challenge] = []
    rest = header[:_LONGEST] if header.isprintable() else ""
    while rest := rest.lstrip(" \t,"):
        scheme = _SCHEME.match(rest)
        if scheme is None:
            break
        parameters, rest, unique = _parameters(rest[scheme.end() :])
        if unique:
            found.append(Challenge(scheme[1].lower(), parameters))
    return tuple(found)


def _parameters(text: str) -> tuple[dict[str, str], str, bool]:
    """Parameters at the head of *text*, what follows them, and whether each was there once."""
    parameters: dict[str, str] = {}
    unique = True
    while True:
        text = text.lstrip(" \t,")
        match = _PARAMETER.match(text)
        if match is None:
            break
        name = match[1].lower()
        unique = unique and name not in parameters
        parameters[name] = match[2] if match[2] is not None else _ESCAPED.sub(r"\1", match[3])
        text = text[match.end() :]
    if not parameters and (token := _TOKEN68.match(text)):
        text = text[token.end() :]
    return parameters, text, unique
