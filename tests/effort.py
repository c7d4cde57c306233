"""How many examples a law is asked about: all of them in `make test`, and a few in `make test-fast`."""

from hypothesis import HealthCheck, settings

QUICK = "quick"
"""The profile of `make test-fast`: a law that does not hold any more is mostly found by one of its first examples."""

_USUAL = 100
"""What Hypothesis asks where nobody says a number; all other numbers are shares of it."""

_FEW = 10


def register() -> None:
    """Make the profiles known, before the command line may name one; no law fails because a machine is busy."""
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
    # Of few examples few are the small ones that pass a filter: whether it takes too much away, `make test` says.
    unasked = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    settings.register_profile(QUICK, max_examples=_FEW, suppress_health_check=unasked)


def examples(count: int) -> int:
    """This many in `make test`, and as much fewer in `make test-fast` as laws have that name no number."""
    return max(1, count * settings().max_examples // _USUAL)
