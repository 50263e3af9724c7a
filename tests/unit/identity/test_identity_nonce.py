"""Stateless nonces: statements A10 and A14, row C29, rotation of the secret, clocks of several hosts."""

import re
import secrets

import pytest

from gateway.base.clock import Millis
from gateway.base.secret import Secret
from gateway.identity.nonce import STEP_MS, NonceAudience, NonceIssuer, NonceVerdict
from tests.unit.identity.kit import NOW, make_nonces

OTHER_SECRET = Secret(b"\x55" * 32)
STEP = Millis(NOW - NOW % STEP_MS)


def accepted(issuer, nonce, now):
    return issuer.judge(nonce, Millis(now)) is not NonceVerdict.REFUSED


def test_a_nonce_is_good_in_every_process_with_the_same_secret():
    nonce = make_nonces().issue(NOW)

    assert make_nonces().judge(nonce, NOW) is NonceVerdict.FRESH


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        (-2, NonceVerdict.REFUSED),
        (-1, NonceVerdict.AGING),
        (0, NonceVerdict.FRESH),
        (1, NonceVerdict.AGING),
        (2, NonceVerdict.AGING),
        (3, NonceVerdict.REFUSED),
    ],
)
def test_a_nonce_lives_two_steps_and_one_step_ahead(steps, verdict):
    """One step ahead: the clock of the host that judges may be behind that of the host that issued."""
    nonce = make_nonces().issue(STEP)

    assert make_nonces().judge(nonce, Millis(STEP + steps * STEP_MS)) is verdict


def test_a_nonce_has_144_bits_in_allowed_characters():
    nonce = make_nonces().issue(NOW)

    assert re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]{24}", nonce)


def test_nonces_of_the_two_audiences_are_not_interchangeable():
    ours, theirs = make_nonces(NonceAudience.RESOURCES), make_nonces(NonceAudience.TOKEN_ENDPOINT)

    assert not accepted(ours, theirs.issue(NOW), NOW)
    assert not accepted(theirs, ours.issue(NOW), NOW)


def test_after_rotation_both_secrets_are_accepted_and_the_first_issues():
    before, after = make_nonces(), NonceIssuer([OTHER_SECRET, Secret(bytes(range(32)))], NonceAudience.RESOURCES)

    assert accepted(after, before.issue(NOW), NOW)
    assert after.issue(NOW) == NonceIssuer([OTHER_SECRET], NonceAudience.RESOURCES).issue(NOW)
    assert not accepted(NonceIssuer([OTHER_SECRET], NonceAudience.RESOURCES), before.issue(NOW), NOW)


def test_c29_guesses_are_not_accepted():
    issuer = make_nonces()
    real = issuer.issue(NOW)
    guesses = [secrets.token_urlsafe(18) for _ in range(100_000)]

    assert [guess for guess in guesses if guess != real and accepted(issuer, guess, NOW)] == []


def test_every_changed_character_of_a_nonce_is_refused():
    nonce = make_nonces().issue(NOW)
    changed = [nonce[:at] + ("A" if nonce[at] != "A" else "B") + nonce[at + 1 :] for at in range(len(nonce))]

    assert [bad for bad in [*changed, nonce + "A", nonce[:-1], ""] if accepted(make_nonces(), bad, NOW)] == []


@pytest.mark.parametrize("secrets_given", [[], [Secret(b"short")], [Secret(bytes(33))]], ids=["none", "short", "long"])
def test_a_secret_must_be_there_and_have_32_bytes(secrets_given):
    with pytest.raises(ValueError, match="secret"):
        NonceIssuer(secrets_given, NonceAudience.RESOURCES)
