"""``key generate`` and ``keys init``: private keys go into files of their own and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.base.host_keys import KEY_FILES
from gateway.base.secret import Secret
from gateway.cli.main import main
from gateway.identity.key_policy import parse_submitted_key
from gateway.identity.signing_key import SigningKey
from gateway.terminal.terminal import Exit


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "PS256"])
def test_a_generated_pair_fits_and_its_public_half_may_be_registered(tmp_path: Path, capsys, alg: str):
    private = tmp_path / "partner.pem"

    assert main(["key", "generate", str(private), "--alg", alg, "--kid", "autumn"]) == Exit.OK

    public = (tmp_path / "partner.pub.json").read_bytes()
    submitted = parse_submitted_key(public)
    assert private.stat().st_mode & 0o777 == 0o600
    assert submitted.kid == "autumn"
    assert SigningKey.from_pem(Secret(private.read_bytes())).public.thumbprint == submitted.key.thumbprint
    assert "PRIVATE" not in capsys.readouterr().out


def test_an_existing_key_is_never_overwritten(tmp_path: Path, capsys):
    private = tmp_path / "partner.pem"
    private.write_bytes(b"mine")

    assert main(["key", "generate", str(private), "--lang", "en"]) == Exit.CONFLICT
    assert private.read_bytes() == b"mine"
    assert "was not overwritten" in capsys.readouterr().err


def test_host_keys_are_made_once(tmp_path: Path, capsys):
    assert main(["keys", "init", str(tmp_path / "keys"), "--json"]) == Exit.OK
    assert len(json.loads(capsys.readouterr().out)["made"]) == len(KEY_FILES)

    assert main(["keys", "init", str(tmp_path / "keys"), "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["made"] == []


def test_a_private_jwk_is_refused_before_anything_is_asked(tmp_path: Path, capsys):
    jwk = tmp_path / "private.json"
    jwk.write_text(json.dumps(dict(SigningKey.generate().public.jwk) | {"d": "AAAA"}), encoding="utf-8")

    assert main(["key", "add", "huoyun-platform", "--jwk", str(jwk), "--lang", "en"]) == Exit.USAGE
    assert "private key, which is exposed now" in capsys.readouterr().err
