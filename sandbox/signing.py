"""The key pair of the Event Webhook: made once, kept in the store, its public half shown to whoever verifies."""

import base64

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.store import Store

_SETTING = "signing_key"


class SigningKey:
    """ECDSA on P-256."""

    def __init__(self, store: Store) -> None:
        """Take up the key of this store, or make one."""
        kept = store.setting(_SETTING)
        if isinstance(kept, str):
            self._key = _loaded(kept)
        else:
            self._key = ec.generate_private_key(ec.SECP256R1())
            store.set_setting(_SETTING, _dumped(self._key))

    def public_key(self) -> str:
        """The public half as SendGrid shows it: base64 of DER."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(public).decode()

    def sign(self, timestamp: str, payload: bytes) -> str:
        """The signature over timestamp and body."""
        return base64.b64encode(self._key.sign(timestamp.encode() + payload, ec.ECDSA(hashes.SHA256()))).decode()


def _loaded(pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        msg = "the signing key of the store is no elliptic curve key"
        raise TypeError(msg)
    return key


def _dumped(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
