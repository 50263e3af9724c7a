import base64

import pytest

from gateway.audit.checkpoint import CheckpointSigner, render_checkpoint
from gateway.audit.note import NoteError, NoteSigner, SignatureType, cosignature_message, verifier_key
from gateway.audit.policy import PolicyError, QuorumError, parse_policy, render_policy
from gateway.base.crypto import Ed25519Signer
from gateway.base.secret import Secret

ROOT = bytes(range(32))
TEXT = render_checkpoint("log.example/1", 42, ROOT)


def key_pair(seed):
    return Ed25519Signer(Secret(bytes([seed]) * 32))


def log_signer(seed=1, origin="log.example/1"):
    return CheckpointSigner(NoteSigner(origin, key_pair(seed)))


def witness(seed):
    return verifier_key(f"w{seed}.example", SignatureType.COSIGNATURE, key_pair(seed).public)


def cosignature(seed, text=TEXT):
    blob = (1_800_000_000).to_bytes(8, "big") + key_pair(seed).sign(cosignature_message(1_800_000_000, text.encode()))
    return f"— w{seed}.example {base64.b64encode(witness(seed).key_id + blob).decode()}\n"


LOG = f"log {log_signer().vkey}\n"
WITNESSES = "".join(f"witness W{seed} {witness(seed)}\n" for seed in range(11, 17))
TWO_LEVELS = f"# trust\n\n{LOG}{WITNESSES}group X 2 W11 W12 W13\ngroup Y any W14 W15\ngroup both all X Y\nquorum both\n"


def test_a_policy_without_witnesses_trusts_every_listed_key_of_the_log():
    """One key a gateway host: same name, different key ids."""
    policy = parse_policy(render_policy([log_signer(1).vkey, log_signer(2).vkey]).encode())

    opened = [policy.open_checkpoint(log_signer(seed).sign(42, ROOT).encode()) for seed in (1, 2)]

    assert [found.checkpoint.size for found in opened] == [42, 42]
    assert opened[0].log_key != opened[1].log_key


def test_a_key_that_is_not_listed_does_not_count():
    policy = parse_policy(render_policy([log_signer(1).vkey]).encode())

    with pytest.raises(NoteError, match="no_known_signature"):
        policy.open_checkpoint(log_signer(3).sign(42, ROOT).encode())


def test_the_key_of_one_log_does_not_vouch_for_another():
    """A trusted log that signs a checkpoint with another origin proves nothing about that origin."""
    other = NoteSigner("other.example/1", key_pair(5))
    policy = parse_policy(render_policy([log_signer(1).vkey, str(other.key)]).encode())

    with pytest.raises(NoteError, match="no_log_signature"):
        policy.open_checkpoint(other.sign(TEXT).encode())


def test_a_witness_alone_does_not_make_a_checkpoint():
    policy = parse_policy(f"{LOG}witness W11 {witness(11)}\nquorum W11\n".encode())

    with pytest.raises(NoteError, match="no_log_signature"):
        policy.open_checkpoint(f"{TEXT}\n{cosignature(11)}".encode())


@pytest.mark.parametrize(
    ("signers", "enough"),
    [
        ([11, 12, 14], True),
        ([11, 13, 15], True),
        ([11, 12, 13, 14, 15, 16], True),
        ([], False),
        ([11, 12], False),
        ([11, 14], False),
        ([14, 15, 16], False),
        ([11, 11, 14], False),
        ([11, 12, 16], False),
    ],
)
def test_the_quorum_of_two_levels(signers, enough):
    policy = parse_policy(TWO_LEVELS.encode())
    note = log_signer().sign(42, ROOT) + "".join(cosignature(seed) for seed in signers)

    if enough:
        assert len(policy.open_checkpoint(note.encode()).cosignatures) == len(set(signers))
    else:
        with pytest.raises(QuorumError):
            policy.open_checkpoint(note.encode())


def test_a_false_cosignature_of_a_known_witness_refuses_the_checkpoint():
    policy = parse_policy(f"{LOG}witness W11 {witness(11)}\nquorum none\n".encode())
    note = log_signer().sign(42, ROOT) + cosignature(11, "another text\n")

    with pytest.raises(NoteError, match="bad_signature"):
        policy.open_checkpoint(note.encode())


def test_whitespace_comments_urls_and_opaque_names_are_accepted():
    text = f"  # 说明\n\t log\t{log_signer().vkey}  https://log.example/ \nwitness ".encode()
    text += (
        b"\xff\xfe " + f"{witness(11)} https://w.example\n".encode() + b"group none-such 1 \xff\xfe\nquorum none-such\n"
    )

    policy = parse_policy(text)

    assert [name for name, _ in policy.witnesses] == [b"\xff\xfe"]


def test_thirty_two_of_each_kind_are_accepted():
    logs = "".join(f"log {log_signer(seed).vkey}\n" for seed in range(1, 33))
    witnesses = "".join(f"witness w{seed} {witness(seed)}\n" for seed in range(100, 132))
    groups = "".join(f"group g{seed} 1 w{seed}\n" for seed in range(100, 132))

    policy = parse_policy(f"{logs}{witnesses}{groups}quorum g131\n".encode())

    assert (len(policy.logs), len(policy.witnesses), len(policy.groups)) == (32, 32, 32)


BAD = {
    "empty": ("", "policy_no_quorum_line"),
    "no quorum": (LOG, "policy_no_quorum_line"),
    "no log": ("quorum none\n", "policy_no_log"),
    "two quorums": (f"{LOG}quorum none\nquorum none\n", "policy_second_quorum"),
    "unknown quorum": (f"{LOG}quorum W11\n", "policy_name_unknown"),
    "quorum before witness": (f"{LOG}quorum W11\n{WITNESSES}", "policy_name_unknown"),
    "group before witness": (f"{LOG}group G 1 W11\n{WITNESSES}quorum G\n", "policy_name_unknown"),
    "group of itself": (f"{LOG}group G 1 G\nquorum G\n", "policy_name_unknown"),
    "none as member": (f"{LOG}group G 1 none\nquorum G\n", "policy_name_unknown"),
    "none as witness": (f"{LOG}witness none {witness(11)}\nquorum none\n", "policy_name_taken"),
    "none as group": (f"{LOG}{WITNESSES}group none 1 W11\nquorum none\n", "policy_name_taken"),
    "empty group": (f"{LOG}{WITNESSES}group G 1\nquorum G\n", "policy_line"),
    "threshold of zero": (f"{LOG}{WITNESSES}group G 0 W11\nquorum G\n", "policy_threshold"),
    "threshold too high": (f"{LOG}{WITNESSES}group G 3 W11 W12\nquorum G\n", "policy_threshold"),
    "threshold in words": (f"{LOG}{WITNESSES}group G most W11\nquorum G\n", "policy_threshold"),
    "threshold with zero": (f"{LOG}{WITNESSES}group G 01 W11\nquorum G\n", "policy_threshold"),
    "member twice": (f"{LOG}{WITNESSES}group G 2 W11 W11\nquorum G\n", "policy_member_twice"),
    "member of two groups": (f"{LOG}{WITNESSES}group G 1 W11\ngroup H 1 W11\nquorum H\n", "policy_member_twice"),
    "name of a witness for a group": (f"{LOG}{WITNESSES}group W11 1 W12\nquorum none\n", "policy_name_taken"),
    "two witnesses of one name": (f"{LOG}{WITNESSES}witness W11 {witness(20)}\nquorum none\n", "policy_name_taken"),
    "one witness under two names": (f"{LOG}{WITNESSES}witness Z {witness(11)}\nquorum none\n", "policy_duplicate_key"),
    "one log twice": (f"{LOG}{LOG}quorum none\n", "policy_duplicate_key"),
    "witness key as log": (f"log {witness(11)}\nquorum none\n", "policy_key"),
    "log key as witness": (f"{LOG}witness W {log_signer(2).vkey}\nquorum none\n", "policy_key"),
    "spoilt key": (LOG.replace("log.example/1+", "log.example/2+") + "quorum none\n", "policy_key"),
    "third field of log": (f"{LOG[:-1]} https://log.example x\nquorum none\n", "policy_line"),
    "unknown word": (f"{LOG}trust W\nquorum none\n", "policy_line"),
    "capital word": (f"{LOG}Quorum none\n", "policy_line"),
    "comment after a line": (f"{LOG}quorum none # all\n", "policy_line"),
    "no last newline": (f"{LOG}quorum none", "policy_characters"),
    "carriage return": (f"{LOG}quorum none\r\n", "policy_characters"),
    "nul": (f"{LOG}quorum none\0\n", "policy_characters"),
    "delete character": (f"# \x7f\n{LOG}quorum none\n", "policy_characters"),
    "too long": ("#" * 70_000 + f"\n{LOG}quorum none\n", "policy_too_long"),
    "too many logs": (
        "".join(f"log {log_signer(seed).vkey}\n" for seed in range(1, 67)) + "quorum none\n",
        "policy_too_many_lines",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_no_spoilt_policy_gets_through(name):
    text, reason = BAD[name]

    with pytest.raises(PolicyError) as refused:
        parse_policy(text.encode())

    assert refused.value.args[0] == reason


def test_the_line_at_fault_is_named():
    with pytest.raises(PolicyError) as refused:
        parse_policy(f"# one\n\n{LOG}nonsense\n".encode())

    assert refused.value.args == ("policy_line", 4)
