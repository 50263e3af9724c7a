"""The fingerprint of RSA moduli made by the broken Infineon library (CVE-2017-15361, "ROCA").

For: refusing such a key before it is registered or used in a proof; its private key can be computed from its public
one.
Source: Nemec et al., "The Return of Coppersmith's Attack" (CCS 2017), section 2.2: the library's primes are
``k * M + (65537^a mod M)`` with M a product of small primes, so the modulus is a power of 65537 modulo each of them. A
modulus that is not from that library passes by chance with probability below 2^-27.
"""

from __future__ import annotations

from typing import Final

_PRIMES: Final = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
"""The primes modulo which 65537 does not generate everything; the others below 167 tell nothing."""
_GENERATOR: Final = 65_537


def _powers(prime: int) -> frozenset[int]:
    powers, power = set[int](), 1
    while power not in powers:
        powers.add(power)
        power = power * _GENERATOR % prime
    return frozenset(powers)


_SUBGROUPS: Final = tuple((prime, _powers(prime)) for prime in _PRIMES)


def has_roca_fingerprint(modulus: int) -> bool:
    """Tell whether an RSA modulus looks made by the broken library. Costs microseconds for 4096 bits."""
    return all(modulus % prime in subgroup for prime, subgroup in _SUBGROUPS)
