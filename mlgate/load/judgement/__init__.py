"""What a load run says about a limit: passed, failed, or not enough to say. Pure."""

from mlgate.load.judgement.bounds import Bounds
from mlgate.load.judgement.causes import environment_instead, no_fault_of_the_host, not_judged
from mlgate.load.judgement.drift import judge_drift
from mlgate.load.judgement.health import LAG_SHARE, host_too_small, unhealthy
from mlgate.load.judgement.limits import judge_error_rate, judge_percentile
from mlgate.load.judgement.memory import judge_memory
from mlgate.load.judgement.rate import judge_rate
from mlgate.load.judgement.regression import judge_regression

__all__ = [
    "LAG_SHARE",
    "Bounds",
    "environment_instead",
    "host_too_small",
    "judge_drift",
    "judge_error_rate",
    "judge_memory",
    "judge_percentile",
    "judge_rate",
    "judge_regression",
    "no_fault_of_the_host",
    "not_judged",
    "unhealthy",
]
