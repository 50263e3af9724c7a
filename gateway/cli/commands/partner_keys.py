"""``key generate | add | list | revoke``: with what a partner proves who it is. Only public keys ever reach the gateway."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from gateway.base.clock import Millis, SystemClock, parse_rfc3339
from gateway.cli.common import CommonOptions, file_or_input, given, read_file, run, word_of
from gateway.cli.open import operating
from gateway.cli.shapes import key_shape
from gateway.identity.jwk import Algorithm
from gateway.identity.key_policy import parse_submitted_key
from gateway.identity.partner import RegisteredKey
from gateway.identity.signing_key import SigningKey
from gateway.terminal.failures import CommandError
from gateway.terminal.terminal import Exit


def generate(
    private_key_file: Annotated[Path, Parameter(help="私钥文件(PEM),权限 0600 · private key file, mode 0600")],
    *,
    alg: Annotated[Algorithm, word_of(Algorithm, "算法 · algorithm")] = Algorithm.ES256,
    kid: Annotated[str | None, Parameter(help="密钥名,缺省为指纹 · name of the key; its thumbprint if absent")] = None,
    common: CommonOptions = None,
) -> int:
    """Make a key pair: the private key in a file of its own, the public JWK beside it."""
    terminal = given(common).terminal()
    key = SigningKey.generate(alg)
    public_file = private_key_file.with_suffix(".pub.json")
    members = {**key.public.jwk, "kid": kid or key.public.thumbprint, "alg": alg.value, "use": "sig"}
    _write_new(private_key_file, key.to_pem().reveal(), 0o600)
    _write_new(public_file, msgspec.json.format(msgspec.json.encode(members), indent=2) + b"\n", 0o644)
    if terminal.json:
        terminal.document({"private_key_file": str(private_key_file), "jwk_file": str(public_file), "jwk": members})
    terminal.tell("key_generated", private=str(private_key_file), public=str(public_file))
    return Exit.OK


def add(
    client_id: Annotated[str, Parameter(help="客户端标识 · client identifier")],
    *,
    jwk: Annotated[Path, file_or_input("公钥 JWK 文件", "public JWK file")],
    not_before: Annotated[str | None, Parameter(help="生效时间 RFC 3339 · active from")] = None,
    common: CommonOptions = None,
) -> int:
    """Register a public key for a client."""
    options = given(common)
    terminal = options.terminal()
    submitted = parse_submitted_key(read_file(jwk))
    active_from = _moment(not_before)

    async def work() -> tuple[RegisteredKey, int]:
        async with operating(options.settings()) as operator:
            return await operator.add_key(client_id, submitted, active_from)

    key, leaf = run(work())
    if terminal.json:
        terminal.document({**key_shape(key), "leaf_index": leaf})
    terminal.tell("key_added", kid=key.kid, alg=key.key.alg.value, thumbprint=key.thumbprint, leaf=leaf)
    return Exit.OK


def list_(
    client_id: Annotated[str, Parameter(help="客户端标识 · client identifier")], *, common: CommonOptions = None
) -> int:
    """List all keys of a client, in whatever state."""
    options = given(common)
    terminal = options.terminal()

    async def work() -> list[RegisteredKey]:
        async with operating(options.settings()) as operator:
            return list(await operator.list_keys(client_id))

    keys = run(work())
    if terminal.json:
        terminal.document([key_shape(key) for key in keys])
        return Exit.OK
    terminal.table(
        ("kid", "alg", "state", "not_before", "ended", "thumbprint"),
        [
            (
                k.kid,
                k.key.alg.value,
                k.state.value,
                terminal.moment(k.not_before_ms),
                terminal.moment(k.revoked_ms),
                k.thumbprint,
            )
            for k in keys
        ],
    )
    return Exit.OK


def revoke(
    key: Annotated[
        str,
        Parameter(
            allow_leading_hyphen=True,  # one thumbprint in 64 begins with one
            help="指纹,或与 --client 同用的密钥名 · thumbprint, or the name together with --client",
        ),
    ],
    *,
    client: Annotated[str | None, Parameter(help="客户端标识 · client identifier")] = None,
    compromised: Annotated[
        bool, Parameter(negative="", help="已泄露,永不恢复 · compromised: never comes back")
    ] = False,
    common: CommonOptions = None,
) -> int:
    """Take a key out of use; effective in every process with the next audit commit."""
    options = given(common)
    terminal = options.terminal()

    async def work() -> tuple[RegisteredKey, int]:
        async with operating(options.settings()) as operator:
            return await operator.revoke_key(key, client_id=client, compromised=compromised)

    ended, leaf = run(work())
    if terminal.json:
        terminal.document({**key_shape(ended), "leaf_index": leaf})
    terminal.tell("key_revoked", thumbprint=ended.thumbprint, state=ended.state.value, leaf=leaf)
    return Exit.OK


def _moment(text: str | None) -> Millis:
    if text is None:
        return SystemClock().now_ms()
    try:
        return parse_rfc3339(text)
    except ValueError as exc:
        raise CommandError(Exit.USAGE, "not_a_time", text=text) from exc


def _write_new(file: Path, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet, with its final mode from the first byte on."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as exc:
        raise CommandError(Exit.CONFLICT, "file_exists", file=str(file)) from exc
    except OSError as exc:
        raise CommandError(Exit.FAILED, "file_unwritable", file=str(file)) from exc
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
