"""Names for runs that were given none: two words and a number, as people can say them to each other."""

import random

__all__ = ["run_name"]

# fmt: off

_HOW = (
    "able", "agile", "amber", "ample", "azure", "balmy", "blithe", "bold", "brave", "bright", "brisk", "calm",
    "candid", "civil", "clear", "clever", "coral", "cosy", "crisp", "dapper", "deft", "eager", "early", "even",
    "fair", "fleet", "fond", "frank", "fresh", "gentle", "glad", "golden", "grand", "handy", "hardy", "honest",
    "ivory", "jolly", "keen", "kind", "lively", "lucid", "lucky", "merry", "mild", "neat", "nimble", "noble",
    "olive", "patient", "placid", "plucky", "polite", "proud", "quick", "quiet", "rapid", "ready", "robust",
    "rosy", "royal", "sage", "sharp", "silver", "sleek", "smart", "snug", "solid", "sound", "spry", "stoic",
    "sunny", "swift", "tidy", "tranquil", "true", "upbeat", "valiant", "vivid", "warm", "wise", "witty", "zesty",
)

_WHAT = (
    "alder", "anchor", "aspen", "badger", "beacon", "beech", "birch", "bison", "brook", "canyon", "cedar",
    "cliff", "cobalt", "comet", "condor", "coral", "crane", "creek", "delta", "dune", "eagle", "ember", "falcon",
    "fern", "finch", "fjord", "gale", "garnet", "gecko", "glade", "grove", "gull", "harbor", "hare", "hawk",
    "hazel", "heron", "hill", "ibex", "inlet", "iris", "island", "jade", "jay", "juniper", "kelp", "kestrel",
    "lagoon", "lark", "laurel", "ledge", "lemur", "linden", "lynx", "maple", "marten", "meadow", "mesa", "moss",
    "newt", "oak", "opal", "orchid", "osprey", "otter", "owl", "panda", "pebble", "pine", "plover", "puffin",
    "quail", "quartz", "raven", "reed", "reef", "ridge", "robin", "sable", "sequoia", "shoal", "slate", "sparrow",
    "spruce", "stoat", "summit", "swan", "tapir", "tern", "thrush", "tulip", "vale", "walnut", "willow", "wren",
    "yew", "zephyr",
)
# fmt: on

_NUMBER_MAX = 999
"""Three digits are said at a glance, and a few thousand pairs of words make most names differ."""


def run_name() -> str:
    """A name, such as `calm-otter-318`; it need not be unique."""
    # It is no secret, and means nothing.
    return f"{random.choice(_HOW)}-{random.choice(_WHAT)}-{random.randint(0, _NUMBER_MAX)}"  # noqa: S311
