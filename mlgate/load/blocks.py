"""What blocks a comparison against the champion is cut into. Pure, and apart: a policy is read without numpy."""

# Blocks of each side in `interleaved`: five times ABBA. An even number lets a steady trend of the host cancel out, and
# of ten blocks a bootstrap can draw 92 378 different sets (19 over 9).
REGRESSION_BLOCKS = 10
# Requests of one second share their fate (design §7), so a shorter block says less than it seems to.
MIN_BLOCK_S = 1.0
# Fewer than 1 / 0.05 have no 95th percentile of their own.
MIN_BLOCK_REQUESTS = 20

# Requests of one second share their fate (design §7), so a shorter run is one piece of evidence. At the other end, what is
# counted second by second has to fit into memory, and nobody waits longer for a verdict.
MIN_RUN_S, MAX_RUN_S = 1.0, 7 * 86_400.0
