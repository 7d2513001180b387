"""What a report says in words: its headline, and what a reader must know before believing the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landscape.study.pairs import Pair
    from landscape.study.report import ConnectivityReport, Method

VERDICTS = ("connected", "valley", "undecided")
MONOTONES = ("monotone", "not monotone", "undecided")
MEANING = "Monotone is what the paper calls linearly connected."
ENOUGH = 5  # training seeds, below which bounds over seeds are infinite


def headline(found: ConnectivityReport) -> str:
    """What the verdicts of all methods say, and whether their valleys differ."""
    told = "; ".join(f"{_told(method)}{_rises(method)}" for method in found.methods)
    parts = (f"On {found.task}, {told}.", MEANING, _difference(found), _caveat(found))
    return " ".join(part for part in parts if part)


def _rises(method: Method) -> str:
    """In how many seeds the return never falls, `, monotone in 3, not monotone in 1, undecided in 1`."""
    counts, n = method.monotones, method.seeds
    words = dict(zip(MONOTONES, ("monotone", "not monotone", "undecided whether monotone"), strict=True))
    found = [name for name in MONOTONES if counts[name]]
    if n == 1:
        text = f" and {words[found[0]]}"
    elif len(found) == 1:
        text = ", monotone in none" if found[0] == "not monotone" else f", {words[found[0]]} in all {n}"
    else:
        text = "".join(f", {words[name]} in {counts[name]}" for name in found)
    falling = sum(pair.falls for pair in method.pairs)
    if not falling:
        return text
    return text + (", since it falls" if n == 1 else f" (it ends below its start in {falling})")


def _told(method: Method) -> str:
    counts, n = method.verdicts, method.seeds
    words = {"connected": "connected", "valley": "separated by a valley", "undecided": "undecided"}
    if n == 1:
        verdict = next(name for name in VERDICTS if counts[name])
        return f"{method.name} is {words[verdict]} in its one training seed"
    whole = next((name for name in VERDICTS if counts[name] == n), None)
    if whole:
        return f"{method.name} is {words[whole]} in all {n} training seeds"
    first, *others = [name for name in VERDICTS if counts[name]]
    rest = " and ".join(f"{words[name]} in {counts[name]}" for name in others)
    return f"{method.name} is {words[first]} in {counts[first]} of {n} training seeds, {rest}"


def _difference(found: ConnectivityReport) -> str:
    comparisons = found.comparisons.get("V", ())
    told = []
    for one in comparisons:
        if one.p_holm <= 1 - found.confidence and one.probability.estimate != 0.5:
            better, worse = (one.a, one.b) if one.probability.estimate > 0.5 else (one.b, one.a)
            share = max(one.probability.estimate, 1 - one.probability.estimate)
            told.append(
                f"The valleys of {better} are shallower than those of {worse} (probability {share:.2f}, "
                f"p = {one.p_holm:.2g})."
            )
    if comparisons and not told:
        return "No difference between the depths of their valleys is beyond chance."
    return " ".join(told)


def _caveat(found: ConnectivityReport) -> str:
    fewest = min(method.seeds for method in found.methods)
    if fewest == 1:
        return "One training seed says nothing about a method."
    return f"Fewer than {ENOUGH} training seeds say little about a method." if fewest < ENOUGH else ""


def flags_of(found: ConnectivityReport) -> list[str]:
    """What a reader must know before believing the numbers."""
    flags = [f"{one.place}: {one.reason}" for one in found.missing]
    for method in found.methods:
        flags += _method_flags(method, found)
        flags += [flag for pair in method.pairs for flag in _pair_flags(pair)]
    versions = {str(pair.result.get("versions")) for method in found.methods for pair in method.pairs}
    if len(versions) > 1:
        flags.append("the pairs were not all evaluated with the same versions of the software")
    flags.append(rare_flag(found))
    return flags


def _method_flags(method: Method, found: ConnectivityReport) -> list[str]:
    flags = []
    if 1 < method.seeds < ENOUGH:
        flags.append(
            f"{method.name}: {method.seeds} training seeds say little about the method; its bounds over "
            "seeds are infinite"
        )
    if method.seeds > 1 and method.why_not:
        flags.append(f"{method.name}: no mean path ({method.why_not})")
    if method.path and method.path.verdict == "connected" and method.verdicts["valley"]:
        flags.append(
            f"{method.name}: the mean path is connected although {method.verdicts['valley']} of its seeds "
            "are not; valleys at different places fill each other up"
        )
    if found.random_return is not None and method.relative is None:
        flags.append(f"{method.name}: neither end of a pair beats a random policy, so depths have no scale")
    if any(pair.adaptive for pair in method.pairs) and method.path:
        flags.append(
            f"{method.name}: adaptive evaluation; the mean path uses the {method.path.episodes_used} "
            "episodes that every point of every seed has played"
        )
    return flags


def rare_flag(found: ConnectivityReport) -> str:
    """What the episodes of all pairs cannot exclude."""
    rates = [pair.excluded for method in found.methods for pair in method.pairs]
    low, high = f"{100 * min(rates):.2g}", f"{100 * max(rates):.2g}"
    told = high if low == high else f"{low} to {high}"
    return f"failures of up to {told} % of the episodes at some point of a line may have gone unseen"


def _pair_flags(pair: Pair) -> list[str]:
    flags = []
    dropped = pair.analysis.get("episodes_dropped", 0)
    if dropped:
        flags.append(f"{pair.name}: {dropped} failed episodes were left out, so it is never called connected")
    if pair.none_succeeded:
        flags.append(f"{pair.name}: no episode succeeded at any point")
    return flags
