# SPDX-License-Identifier: MIT
"""From what was recorded to the numbers of summary.json and the verdict of each check."""

UNITS = {"import": "w", "export": "w", "current": "a"}
US_PER_S = 1_000_000


def spread(values):
    """{count, p50, p99, max} of a list of seconds; None where there is nothing to rank."""
    if not values:
        return {"count": 0, "p50": None, "p99": None, "max": None}
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50": round(ordered[round(0.5 * last)], 6),
        "p99": round(ordered[round(0.99 * last)], 6),
        "max": round(ordered[-1], 6),
    }


def of_excursions(watches):
    """The four figures of each quantity, and the response times of import and export."""
    metrics = {}
    for name, watch in watches.items():
        lengths = [(e.end_us - e.start_us) / US_PER_S for e in watch.done]
        metrics[f"{name}_over_limit_s"] = round(watch.over_us / US_PER_S, 6)
        metrics[f"{name}_longest_excursion_s"] = round(max(lengths, default=0.0), 6)
        peak = max((e.peak for e in watch.done), default=0.0)
        metrics[f"{name}_peak_over_{UNITS[name]}"] = round(peak, 3)
        metrics[f"{name}_excursions"] = len(watch.done)
    responses = [(e.end_us - e.start_us) / US_PER_S for w in watches.values() for e in w.done]
    metrics["response_s"] = spread(responses)
    return metrics


def command_times(excursions, writes):
    """Seconds from the start of each import or export excursion to the last changed command in
    it. writes: [(t_us, frame)] of commands that differed from the one before."""
    times = []
    for excursion in excursions:
        inside = [t for t, _ in writes if excursion.start_us <= t <= excursion.end_us]
        if inside and excursion.quantity != "current":
            times.append((inside[-1] - excursion.start_us) / US_PER_S)
    return times


def lookup(metrics, path):
    """metrics["a"]["b"] for "a.b"; None when there is no such number."""
    value = metrics
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def uncertainty(path, step_s):
    """How far the measured value may be off: times by one trace step at most, counts not."""
    return step_s if path.split(".")[0].endswith("_s") and not path.endswith("count") else 0.0


def check(expect, metrics, step_s=0.001):
    """One entry of `checks`: a missing value is a FAIL, never a pass; N-A only where this target
    cannot measure the quantity at all."""
    measured = lookup(metrics, expect.metric)
    limit = expect.max if expect.max is not None else expect.min
    margin = None
    verdict = "FAIL" if expect.metric.split(".")[0] in metrics else "N-A"
    if measured is not None:
        margin = limit - measured if expect.max is not None else measured - limit
        verdict = "PASS" if margin >= 0 else "FAIL"
    return {
        "id": expect.id,
        "requirement": expect.requirement,
        "metric": expect.metric,
        "sense": "max" if expect.max is not None else "min",
        "limit": limit,
        "measured": measured,
        "unit": expect.unit or "",
        "uncertainty": uncertainty(expect.metric, step_s),
        "margin": None if margin is None else round(margin, 6),
        "verdict": verdict,
    }


def overall(checks):
    """FAIL if any check failed; a run in which nothing was checked has proved nothing."""
    verdicts = {check["verdict"] for check in checks}
    return "FAIL" if "FAIL" in verdicts else "PASS" if "PASS" in verdicts else "INCONCLUSIVE"
