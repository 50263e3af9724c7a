"""The secret keys of one gateway host: making them, and reading them at start with every fault at once.

For: ``keys init``, the demo, and the start of every process. Not for: partners' keys (``gateway.identity``).
In production a key file is refused that others may read or change (``gateway.base.trusted_files``), a key that stands in two
files, and the public example keys of ``keys/example``; those are known here by the digest of their public part or, for symmetric
ones, of their bytes.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.base.codec import parse_hex
from gateway.base.crypto import sha256
from gateway.base.secret import Secret
from gateway.base.setting_faults import SettingFault, SettingsError, file_faults, path_faults
from gateway.base.settings import Settings, environment_variables
from gateway.base.trusted_files import Account, judge_path, read_trusted

if TYPE_CHECKING:
    from pathlib import Path

TOKEN_SIGNING: Final = "token-signing.pem"  # noqa: S105 - the name of a file
LOG_SIGNING: Final = "log-signing.key"
DPOP_NONCE: Final = "dpop-nonce.key"
BLIND_INDEX: Final = "blind-index.key"
SEALING: Final = "sealing.key"
BATCH_MAC: Final = "batch-mac.key"
_HEX_FILES: Final = (LOG_SIGNING, DPOP_NONCE, BLIND_INDEX, SEALING, BATCH_MAC)
KEY_FILES: Final = (TOKEN_SIGNING, *_HEX_FILES)
_KEY_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 8192
_VARIABLE: Final = "GATEWAY_KEYS_DIR"

EXAMPLE_KEYS: Final = frozenset(
    {
        "06922541c7399e0305a9c756fae59956b3a432eba6476f25f247ec70cd2836c6",
        "c553a7de87307634a0510541464512c36791d627f401c5186ca8cb8777b91cbe",
        "8d6a75258d585c6085247ca8dd8b5840a8f2aa4ce695479d6ba5bd3f4c117d26",
        "889bf52e25b618fccbd8c813169fa3edb435e6291ebb1d3bc75f3bc26f47d713",
        "8e801f75ead840bbc51e7bfc8ca7c04c4d2b8773dd536bc00f2691ba52ff127a",
        "166e64f31f8274044da6f39d5cf73df022c467d52924cec859cafcf6b4d092bc",
    }
)
"""SHA-256 of what makes each file of ``keys/example`` itself; a test compares them with the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeys:
    """The keys of this host.

    ``token_signing`` signs access tokens (ES256); ``log_signing`` is the Ed25519 seed of this host's checkpoints. The
    others are 32 random bytes, the same on all hosts: ``dpop_nonce``, ``blind_index``, ``sealing`` and ``batch_mac``.
    """

    token_signing: ec.EllipticCurvePrivateKey
    log_signing: Secret
    dpop_nonce: Secret
    blind_index: Secret
    sealing: Secret
    batch_mac: Secret


def load_host_keys(settings: Settings, account: Account | None = None) -> HostKeys:
    """Read all key files of ``keys_dir``; raise ``SettingsError`` with every fault there is."""
    account = account or Account.current(environment_variables())
    keys, faults = read_host_keys(settings.keys_dir, account, production=settings.production)
    if keys is None or faults:
        raise SettingsError(faults)
    return keys


def read_host_keys(
    directory: Path, account: Account, *, production: bool
) -> tuple[HostKeys | None, list[SettingFault]]:
    """Read all key files of a directory; return the keys unless one is missing or malformed, and every fault there is."""
    faults: list[SettingFault] = []
    careless = _careless_directory(directory, account)
    raw = {name: _read(directory / name, account, faults, careless) for name in KEY_FILES}
    token = _token_key(raw[TOKEN_SIGNING], faults)
    seeds = {name: _seed(name, raw[name], faults) for name in _HEX_FILES}
    if production:
        faults += careless
        faults += _copies(seeds)
        faults += [] if token is None else [_fault("key_example", file=name) for name in _examples(token, seeds)]
    if token is None or not all(seeds.values()):
        return None, faults
    keys = HostKeys(
        token_signing=token,
        log_signing=Secret(seeds[LOG_SIGNING]),
        dpop_nonce=Secret(seeds[DPOP_NONCE]),
        blind_index=Secret(seeds[BLIND_INDEX]),
        sealing=Secret(seeds[SEALING]),
        batch_mac=Secret(seeds[BATCH_MAC]),
    )
    return keys, faults


def create_host_keys(directory: Path) -> list[Path]:
    """Make the key files that are not there yet, mode 0600 in a directory of mode 0700; return those made.

    An existing file is never touched: a lost log key or blind-index key cannot be made again.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    made: list[Path] = []
    for name in KEY_FILES:
        content = _new_token_key() if name == TOKEN_SIGNING else secrets.token_hex(_KEY_BYTES).encode() + b"\n"
        try:
            handle = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        made.append(directory / name)
    return made


def example_digests(directory: Path) -> dict[str, str]:
    """Return by file name the digests that ``EXAMPLE_KEYS`` must list for a directory of example keys."""
    token = _token_key((directory / TOKEN_SIGNING).read_bytes(), [])
    seeds = {name: _seed(name, (directory / name).read_bytes(), []) for name in _HEX_FILES}
    return {} if token is None else _digests(token, seeds)


def _fault(code: str, **params: str | int) -> SettingFault:
    return SettingFault(name=_VARIABLE, code=code, params=params)


def _careless_directory(directory: Path, account: Account) -> list[SettingFault]:
    try:
        return path_faults(_VARIABLE, judge_path(directory, account))
    except OSError:
        return []  # every file in it will be missed by name


def _read(file: Path, account: Account, faults: list[SettingFault], careless: list[SettingFault]) -> bytes:
    try:
        found = read_trusted(file, account, most_bytes=_MAX_FILE_BYTES)
    except OSError:
        faults.append(_fault("key_missing", file=str(file)))
        return b""
    careless += file_faults(_VARIABLE, file, found, secret=True, exposed="key_exposed")
    return found.content


def _copies(seeds: dict[str, bytes]) -> list[SettingFault]:
    """Return a fault for each key that stands in an earlier file too: what one use gives away would open the other."""
    first: dict[bytes, str] = {}
    faults = []
    for name, seed in seeds.items():
        if seed and first.setdefault(seed, name) != name:
            faults.append(_fault("key_twice", file=name, other=first[seed]))
    return faults


def _token_key(pem: bytes, faults: list[SettingFault]) -> ec.EllipticCurvePrivateKey | None:
    if not pem:
        return None
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    faults.append(_fault("key_malformed", file=TOKEN_SIGNING, form="PEM PKCS#8 P-256"))
    return None


def _seed(name: str, content: bytes, faults: list[SettingFault]) -> bytes:
    if not content:
        return b""
    try:
        seed = parse_hex(content.decode("ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != _KEY_BYTES or not any(seed):
        faults.append(_fault("key_malformed", file=name, form="64 hex"))
        return b""
    return seed


def _digests(token: ec.EllipticCurvePrivateKey, seeds: dict[str, bytes]) -> dict[str, str]:
    public = token.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    found = {TOKEN_SIGNING: sha256(public).hex()}
    for name, seed in seeds.items():
        if len(seed) == _KEY_BYTES:
            shown = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
            found[name] = sha256(shown if name == LOG_SIGNING else seed).hex()
    return found


def _examples(token: ec.EllipticCurvePrivateKey, seeds: dict[str, bytes]) -> list[str]:
    return [name for name, digest in _digests(token, seeds).items() if digest in EXAMPLE_KEYS]


def _new_token_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
