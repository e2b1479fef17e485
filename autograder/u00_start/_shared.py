"""What the keys of u00 share.

In the last case of both the device is `meta`: it has no numbers, so only the place of the result is looked at.
"""

from coursekit.course.authoring import Tolerance

EXACT = Tolerance(0, 0, "an input, or a copy of numbers, is either the same or not")
