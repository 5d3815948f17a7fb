"""What a registry wants to see of us, as a value that does not show itself."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Credential:
    """One login.

    Attributes:
        user: empty with tokens.
        password: goes with *user*.
        identity_token: an OAuth2 refresh token: exchanged for access tokens, never shown to the registry itself.
        registry_token: an access token, used as it is.
        found: where it was found, for messages: a file, or a helper program.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    found: str = ""
