"""A store that is cleaned up by a clock which jumps forward and back, by seconds and by years."""

from tests.effort import examples
from tests.store.machines.clocks import ClockRules
from tests.store.machines.local import chosen

TestClock = ClockRules.TestCase
TestClock.settings = chosen(examples(40), 50)
