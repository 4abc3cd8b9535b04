"""Envelopes around secrets: what the database holds of a variable, a connection or a key of the deployment.

Here belong the envelope and the key that opens it. Where the key comes from belongs to `crosswind_server.home`.

An envelope is: version (1 byte, 1), id of the key (8 bytes), nonce (12 bytes), AES-256-GCM of the secret with its tag.
The place of the secret (table and key) is authenticated with it: an envelope moved to another row does not open.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_HEAD: Final = len(_VERSION) + _ID_BYTES + _NONCE_BYTES


class CannotOpen(Exception):
    """The envelope was sealed with another key, for another place, or was changed."""


def make_key() -> bytes:
    """A new key of 32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def key_id(key: bytes) -> bytes:
    """Names a key without telling it: 8 bytes that stand in every envelope sealed with it."""
    return hashlib.sha256(b"crosswind encryption key\0" + key).digest()[:_ID_BYTES]


class Sealer:
    """Seals with the first key, opens with any. Safe to share among threads."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Takes the keys.

        Args:
            keys: 32 bytes each, the one to seal with first, then those of older envelopes.

        Raises:
            ValueError: there is none, or one has another length.
        """
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a sealer needs at least one key of {KEY_BYTES} bytes")
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._current = key_id(keys[0])

    def seal(self, secret: bytes, place: str) -> bytes:
        """An envelope around a secret.

        Args:
            secret: the bytes to hide.
            place: where it is kept, such as `variable:default/smtp_password`.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        head = _VERSION + self._current + nonce
        return head + self._ciphers[self._current].encrypt(nonce, secret, head + place.encode())

    def open(self, envelope: bytes, place: str) -> bytes:
        """The secret in an envelope.

        Raises:
            CannotOpen: it was sealed with a key that this server does not have, for another place, or was changed.
        """
        head = bytes(envelope[:_HEAD])
        if len(head) < _HEAD or head[:1] != _VERSION:
            raise CannotOpen(f"What is stored for {place} is not an envelope of this server.")
        identity = head[1 : 1 + _ID_BYTES]
        cipher = self._ciphers.get(identity)
        if cipher is None:
            raise CannotOpen(
                f"{place} was sealed with the encryption key {identity.hex()}, which this server does not have;"
                " give that key with --encryption-key-file."
            )
        try:
            return cipher.decrypt(head[-_NONCE_BYTES:], bytes(envelope[_HEAD:]), head + place.encode())
        except InvalidTag:
            raise CannotOpen(f"What is stored for {place} was changed or belongs to another place.") from None
