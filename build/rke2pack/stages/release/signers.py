"""Who signs: an offline key from a file or the environment, sigstore, both, or nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rke2pack import files
from rke2pack.errors import ConfigError
from rke2pack.release.asset import KEYLESS, OFFLINE
from rke2pack.release.keyless import KeylessSigner
from rke2pack.release.offlinekey import SigningKey
from rke2pack.stages.release.wish import Signing
from rke2pack.stages.release.work import Signer

KEY_VARIABLE: Final = "RKE2PACK_SIGNING_KEY"
PASSWORD_VARIABLE: Final = "RKE2PACK_SIGNING_PASSWORD"  # noqa: S105 - the variable's name


def find(signing: Signing, environment: Mapping[str, str]) -> Mapping[str, Signer]:
    """Return what signs, by the name of its file; raises ConfigError for a key that is none."""
    found: dict[str, Signer] = {}
    password = environment.get(PASSWORD_VARIABLE)
    pem = environment.get(KEY_VARIABLE, "")
    if signing.sign_key is not None:
        text = files.read_text(signing.sign_key)
        found[OFFLINE] = SigningKey.parse(
            text.encode(), password=password, what=str(signing.sign_key)
        )
    elif pem:
        found[OFFLINE] = SigningKey.parse(pem.encode(), password=password, what=KEY_VARIABLE)
    if signing.is_keyless:
        found[KEYLESS] = KeylessSigner(trust_config=signing.trust_config)
    elif signing.trust_config is not None:
        msg = "--trust-config: goes with --keyless"
        raise ConfigError(msg, hint="pass --keyless as well")
    return found
