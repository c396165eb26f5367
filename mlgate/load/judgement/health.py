"""Whether generator and host did what was asked of them: else a run says nothing about the server. Pure."""

from mlgate.load.judgement.rate import CARRIED_SHARE
from mlgate.load.samples import Health, Samples
from mlgate.load.usage import UsageSeries
from mlgate.quantities import format_number, format_share

# A send lag, or what host and generator add, beyond this part of the tightest limit would be measured as the model's latency
# (reference/performance-reliability-security.md A1, "How mlgate should measure", 2).
LAG_SHARE = 0.10

# Below this part of all cores idle, whoever becomes runnable waits for a core: on two cores that are busy for 90 % of the
# time a request waits 4.3 times its service time (M/M/2: rho^2 / (1 - rho^2); Kleinrock, Queueing Systems 1, 1975, 3.5).
IDLE_SHARE = 0.10

# A server that got this part of its limit had what it was promised; counters are read a second apart.
FULL_SHARE = 0.90

# A server that its own limit makes wait for this part of the time is held back by that limit, not by its neighbours.
THROTTLED_SHARE = 0.05

# Cores' worth of CPU below which a neighbour takes nothing worth naming: kernel threads and the readings themselves.
NEIGHBOUR = 0.05


def unhealthy(samples: Samples, health: Health, tightest_limit_ms: float) -> str | None:
    """Say why the run can not be judged, and what to change; `None` where the generator did what it was asked to.

    Args:
        samples: Every intended request.
        health: Of the generator.
        tightest_limit_ms: The smallest latency limit that the run is judged by, in ms.
    """
    if not len(samples) or not samples.sent.any():
        return "no request was sent; read the generator's log"
    sent_share = min(int(samples.sent.sum()) / len(samples), health.achieved_rate / health.offered_rate)
    if sent_share < CARRIED_SHARE:
        made = f"{format_number(health.achieved_rate, 3)}/s of {format_number(health.offered_rate)}/s"
        dropped = f"{made}, {format_number(health.dropped)} dropped"
        return f"the generator sent {dropped}; lower the rate, raise the limit of open files or give it a free core"
    if health.send_lag_p99_ms > LAG_SHARE * tightest_limit_ms:
        allowed = f"{format_number(LAG_SHARE * tightest_limit_ms, 3)} ms (10 % of the tightest limit)"
        lag = f"requests left {format_number(health.send_lag_p99_ms, 3)} ms late at p99 > {allowed}"
        return f"{lag}, generator CPU {format_share(health.cpu_share)}; free a core for the generator and run again"
    return None


def host_too_small(usage: UsageSeries | None, health: Health, *, cpus: float, rate: float) -> str | None:
    """Say why a limit that was missed may be the host's fault, and what to change; `None` where it is the server's own.

    It is the host's where no core was idle and the server got less CPU than its limit, though not by that limit, and
    something else used the rest or the host has fewer cores than the limit. A server that used what it was given, that
    its limit throttled, or that waited while cores were idle, is slow by itself.

    Args:
        usage: What server and host used; `None` or without readings: nothing can be said.
        health: Of the generator.
        cpus: The server's CPU limit, in cores.
        rate: Offered rate, requests per second.
    """
    shares = None if usage is None else (usage.server_share(), usage.idle_share(), usage.other_share(health.cpu_share))
    if usage is None or shares is None or None in shares:
        return None
    server, idle, others = (share or 0.0 for share in shares)
    throttled = usage.throttled_share() or 0.0
    if idle >= IDLE_SHARE * usage.cores or server >= FULL_SHARE * cpus or throttled >= THROTTLED_SHARE:
        return None
    used = f"the server got {_cores(server)} of {_cores(cpus)}, the generator {_cores(health.cpu_share)}, others {_cores(others)}"
    told = f"generator or host too small: at {format_number(rate)}/s {_cores(idle)} of {usage.cores} were idle; {used}"
    if usage.cores < cpus:
        advice = f"run on a host with more than {format_number(cpus)} cores, or lower runtime.cpus"
    elif others + health.cpu_share < NEIGHBOUR:
        return None
    elif others > health.cpu_share:
        advice = "stop what else runs on this host, or use one with more cores"
    else:
        advice = "use a host with more cores, or send the load from another host"
    return f"{told.replace('; ', ': ', 1)}; {advice}"


def _cores(share: float) -> str:
    return f"{format_number(share, 2)} core{'' if share == 1 else 's'}"
