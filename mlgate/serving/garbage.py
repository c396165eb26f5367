"""Python's garbage collector while the server starts, and after."""

import gc
from collections.abc import Callable

# Imports and a model's load make objects that stay. Looking through them at every 700 new ones, Python's default, took
# 17 % of a scikit-learn model's start (0.35 s of 2.1 s); this bounds real garbage all the same.
BOOT_THRESHOLD = 50_000


def relax() -> Callable[[], None]:
    """Collect rarely from here on; what is returned ends that.

    At the end, everything that is there is taken out of later collections (`gc.freeze`): it stays for the process's life,
    and a full collection during a request would walk through all of it. A model that sets thresholds of its own keeps them.
    """
    before = gc.get_threshold()
    raised = (max(BOOT_THRESHOLD, before[0]), *before[1:])
    if before[0]:  # zero: somebody has turned it off already
        gc.set_threshold(*raised)

    def settle() -> None:
        gc.freeze()
        if gc.get_threshold() == raised:
            gc.set_threshold(*before)

    return settle
