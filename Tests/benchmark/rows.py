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
    # Against HAProxy alone, as a TLS client like ours: TLS 1.3, one cipher suite, the server's name verified.
    Row("tls-empty-64", "TLS 1.3: no body, 64 outstanding", "tls-empty-64", share_max=0.75),
    Row("tls-reply-8m", "TLS 1.3: 8 MiB replies, 64 outstanding", "tls-reply-8m", share_max=1.0),
    Row("tls-resumed-64", "TLS 1.3: a resumed handshake for each request", "tls-resumed-64", share_max=1.0),
)
COUNTED_ROWS = (
    # Counted over tens of thousands of requests: less than one in a thousand of them allocated.
    Row("allocations", "heap allocations per request, warm", "empty-64", value_max=0.001, unit=""),
    Row("allocations-reply-64k", "the same with 64 KiB replies", "reply-64k", value_max=0.001, unit=""),
    Row("allocations-request-64k", "the same with request bodies of 64 KiB", "request-64k", value_max=0.001, unit=""),
    # OpenSSL 3.0 makes one for each record that it reads and three for each that it writes; ours are none. The limit has
    # room for requests that begin between the two readings.
    Row("allocations-tls", "the same over TLS, OpenSSL's own four among them", "tls-empty-64", value_max=4.02, unit=""),
    Row("allocations-pinned", "the same on pinned connections", "pinned-64", value_max=0.001, unit=""),
    Row("pinned-64", "CPU time of a pinned request, of a pooled one's", "pinned-64", value_max=1.1, unit="×"),
    Row("workers-2", "CPU time of a request with 2 workers, of that with 1", "empty-64-sessions-2", value_max=1.1, unit="×"),
    Row(
        "workers-connections",
        "connections opened with 2 and with 8 workers, of those with 1",
        "empty-64-sessions-8",
        value_max=1.1,
        unit="×",
    ),
    Row("idle-memory", "memory for 10,000 idle upstream connections", "", value_max=20.0, unit="MB"),
    Row("system-calls", "system calls per request, no body, 64 outstanding", "empty-64", value_max=2.3, unit=""),
)
ROWS = {row.name: row for row in TIMED_ROWS + COUNTED_ROWS}


@dataclass
class Results:
    """What was measured, by row and by program."""

    # Row name, program and variant to CPU microseconds a request, one for each round.
    times: dict = field(default_factory=dict)
    # Row name and program to a number.
    counts: dict = field(default_factory=dict)
    # Row name to why there is no number.
    failures: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    def add_time(self, row, program, microseconds, variant=""):
        """One more round."""
        self.times.setdefault((row, program, variant), []).append(microseconds)

    def best(self, row, program):
        """The variant of a program that was best by its median, and its rounds; None when nothing was measured."""
        variants = [(key[2], rounds) for key, rounds in self.times.items() if key[:2] == (row, program)]
        return min(variants, key=lambda variant: median(variant[1]), default=None)

    def time(self, row, program):
        """The median of the rounds of the best variant; None when there were none."""
        best = self.best(row, program)
        return median(best[1]) if best else None


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


def variant_lines(results, rows):
    """Every variant of every program: the median, and how far the rounds lie apart."""
    programs = list(dict.fromkeys(key[1:] for key in results.times))
    titles = [" ".join((name, f"({variant})" if variant else "")).strip() for name, variant in programs]
    lines = [f"| median (smallest … largest round), {MICROSECONDS} | {' | '.join(titles)} |"]
    lines.append("|---|" + "---:|" * len(programs))
    for row in rows:
        cells = [row.title]
        for name, variant in programs:
            rounds = results.times.get((row.name, name, variant))
            spread = f"{number(median(rounds))} ({number(min(rounds))} … {number(max(rounds))})" if rounds else "–"
            cells.append(spread)
        lines.append(f"| {' | '.join(cells)} |")
    return lines
