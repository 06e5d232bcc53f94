"""What doctor says of the secret key: whether the former one is still needed, and by what."""

from collections.abc import Iterator

from hub.admin.finding import Finding
from hub.parties.key_rotation import KeyUse


def key_findings(use: KeyUse, *, has_former: bool) -> Iterator[Finding]:
    """`has_former`: HUB_SECRET_KEY_PREVIOUS is set."""
    if use.lost:
        yield Finding(
            "problem",
            f"No key that is given opens what is stored of {', '.join(use.lost)}.",
            "HUB_SECRET_KEY was changed, or HUB_SECRET_KEY_PREVIOUS taken away too early: they cannot call or be called.",
            "Set HUB_SECRET_KEY_PREVIOUS to the key it was stored under; if that is gone, `ocpi-hub platform unregister` and "
            "invite them again.",
        )
    if has_former:
        yield _former(use)


def _former(use: KeyUse) -> Finding:
    set_ = "HUB_SECRET_KEY_PREVIOUS is set"
    if use.is_free:
        why = "Everything is stored under HUB_SECRET_KEY now; who gets hold of the former key gains nothing once it is gone here."
        return Finding("advice", f"{set_} and not needed any more.", why, "Remove it and restart every process.")
    if use.sealed or use.began_at is None:
        what = f"{set_}: under it are {use.sealed} of our tokens for partners and {use.issued} tokens we gave out."
        why = "They are not moved to the new key before they are asked to."
        return Finding("advice", what, why, "ocpi-hub key rotate; when every process has both keys")
    return Finding(
        "advice",
        f"{set_}: {use.platforms} platforms have not called since {use.began_at:%Y-%m-%dT%H:%M:%SZ}: {', '.join(use.waiting)}.",
        "Their tokens are known under the former key only, until they call.",
        "Leave it set until they have; `ocpi-hub key show` tells. Or invite those again who do not call any more.",
    )
