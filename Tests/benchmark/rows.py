"""The rows of the table: what is measured, what is asked of it, and how it is written down."""

from dataclasses import dataclass, field
from statistics import median

MICROSECONDS = "µs"


@dataclass(frozen=True)
class Row:
    """One row. `share_max` is for CPU time against the best of the others, `value_max` for a plain number."""

    name: str
    title: str
    work: str
    share_max: float = 0.0
    value_max: float = 0.0
    unit: str = MICROSECONDS


TIMED_ROWS = (
    Row("empty-64", "no body, 64 outstanding, 1 session", "empty-64", share_max=0.55),
    Row("empty-64-sessions-8", "no body, 64 outstanding, 8 sessions", "empty-64-sessions-8", share_max=0.65),
    Row("empty-1", "no body, 1 outstanding", "empty-1", share_max=0.97),
    Row("reply-64k", "64 KiB replies, 64 outstanding", "reply-64k", share_max=0.60),
    Row("reply-8m", "8 MiB replies, 64 outstanding", "reply-8m", share_max=0.85),
    Row("request-64k", "request bodies of 64 KiB, 64 outstanding", "request-64k", share_max=0.70),
)
COUNTED_ROWS = (
    # Counted over tens of thousands of requests: less than one in a thousand of them allocated.
    Row("allocations", "heap allocations per request, warm", "empty-64", value_max=0.001, unit=""),
    Row("allocations-reply-64k", "the same with 64 KiB replies", "reply-64k", value_max=0.001, unit=""),
    Row("allocations-request-64k", "the same with request bodies of 64 KiB", "request-64k", value_max=0.001, unit=""),
    Row("idle-memory", "memory for 10,000 idle upstream connections", "", value_max=20.0, unit="MB"),
    Row("system-calls", "system calls per request, no body, 64 outstanding", "empty-64", value_max=2.3, unit=""),
)
ROWS = {row.name: row for row in TIMED_ROWS + COUNTED_ROWS}


@dataclass
class Results:
    """What was measured, by row and by program."""

    # Row name and program to CPU microseconds a request, one for each round.
    times: dict = field(default_factory=dict)
    # Row name and program to a number.
    counts: dict = field(default_factory=dict)
    # Row name to why there is no number.
    failures: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    def add_time(self, row, program, microseconds):
        """One more round."""
        self.times.setdefault((row, program), []).append(microseconds)

    def time(self, row, program):
        """The median of the rounds; None when there were none."""
        rounds = self.times.get((row, program))
        return median(rounds) if rounds else None

    def spread(self, row, program):
        """The smallest and the largest round."""
        rounds = self.times[row, program]
        return min(rounds), max(rounds)


def number(value):
    """A number with as many places as it deserves."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def verdict(value, limit):
    """Whether a limit is met."""
    return "met" if value <= limit else "**missed**"


def timed_lines(results, rows, others):
    """The table of CPU time; also whether every limit in it is met."""
    lines = [
        f"| CPU time per request, {MICROSECONDS} | Outrigger | {' | '.join(others)} | share of the best | at most | |",
        "|---|" + "---:|" * (len(others) + 3) + "---|",
    ]
    is_met = True
    for row in rows:
        own = results.time(row.name, "Outrigger")
        times = [results.time(row.name, other) for other in others]
        cells = [row.title, number(own), *map(number, times)]
        known = [value for value in times if value is not None]
        if own is not None and known:
            share = own / min(known)
            is_met &= share <= row.share_max
            cells += [f"{share:.2f}", f"{row.share_max:.2f}", verdict(share, row.share_max)]
        else:
            is_met = False
            cells += ["–", f"{row.share_max:.2f}", results.failures.get(row.name, "not measured")]
        lines.append(f"| {' | '.join(cells)} |")
    return lines, is_met


def counted_lines(results, rows):
    """The table of what was counted; also whether every limit in it is met."""
    lines = ["| counted | Outrigger | at most | |", "|---|---:|---:|---|"]
    is_met = True
    for row in rows:
        value = results.counts.get((row.name, "Outrigger"))
        limit = f"{row.value_max:g} {row.unit}".strip()
        if value is None:
            is_met = False
            lines.append(f"| {row.title} | – | {limit} | {results.failures.get(row.name, 'not measured')} |")
            continue
        is_met &= value <= row.value_max
        text = f"{value:.4f}" if row.value_max < 0.01 else f"{value:.2f}"
        lines.append(f"| {row.title} | {text} {row.unit}".rstrip() + f" | {limit} | {verdict(value, row.value_max)} |")
    return lines, is_met


def spread_lines(results, rows, programs):
    """How far the rounds of each cell lie apart."""
    lines = [f"| smallest and largest round, {MICROSECONDS} | {' | '.join(programs)} |", "|---|" + "---:|" * len(programs)]
    for row in rows:
        cells = [row.title]
        for program in programs:
            measured = (row.name, program) in results.times
            cells.append("–".join(map(number, results.spread(row.name, program))) if measured else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return lines
