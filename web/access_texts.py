"""Why a request is refused: the status, and a sentence for a person."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """An answer that is no page. `key` names it where texts are translated."""

    key: str
    status: int
    text: str


WRONG_HOST = Refusal("wrong-host", 400, "The desk is not called by this host name.")
WRONG_ORIGIN = Refusal("wrong-origin", 403, "This request came from another site.")
NOT_PUBLIC = Refusal("not-public", 404, "There is no such page.")
SIGN_IN = Refusal("sign-in", 401, "Sign in first.")
BEHIND_A_PROXY = Refusal(
    "behind-a-proxy", 401, "The desk was reached through a proxy, but no way of signing in is set: see docs/access.md."
)
NOT_BY_THE_PROXY = Refusal(
    "not-by-the-proxy", 401, "The desk is reached through its proxy only, which signs people in."
)
NO_ROLE = Refusal("no-role", 403, "You may not do this. Ask whoever runs the desk for the role.")
SIGN_IN_FAILED = Refusal("sign-in-failed", 401, "Signing in did not succeed. Try again.")
NO_NAME = Refusal("no-name", 403, "You were signed in, but without a name that the desk can use.")
PROVIDER_AWAY = Refusal("provider-away", 503, "The service that signs people in does not answer. Try again later.")
SIGNED_OUT = Refusal("signed-out", 200, "You are signed out of the desk.")
FAILED = Refusal("failed", 500, "Something went wrong here. The desk's log has the place.")

TEXTS = {
    refusal.key: refusal.text
    for refusal in (
        *(WRONG_HOST, WRONG_ORIGIN, NOT_PUBLIC, SIGN_IN, BEHIND_A_PROXY, NOT_BY_THE_PROXY, NO_ROLE),
        *(SIGN_IN_FAILED, NO_NAME, PROVIDER_AWAY, SIGNED_OUT, FAILED),
    )
}
"""All sentences by key."""
