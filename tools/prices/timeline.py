"""Price histories: lists of periods, and the rules that clean what was recorded late or in a coarse form."""

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True)
class Period:
    """Prices from one instant up to another, `None` where the history has no beginning or end."""

    start: str | None
    end: str | None
    rates: dict[int, dict[str, Decimal]]
    source: str
    dated: str


def history(elements: list[dict], read) -> list[Period]:
    """Returns the periods of one mode as `model-prices` has them."""
    ends = [element["start"] for element in elements[1:]] + [None]
    periods, begins = [], None
    for element, end in zip(elements, ends):
        rates, start = element["rates"], element["start"] if begins is None else begins
        # A first record that its correction replaced in the same instant was never a price.
        if rates and not periods and end is not None and end <= rates["valid_from"]:
            begins = start or ""
            continue
        begins = None
        if rates:
            periods.append(Period(start or None, end, read(rates), rates["source"], rates["valid_from"][:10]))
    return merged(periods)


def cleaned(periods: list[Period], note) -> list[Period]:
    """Returns the periods with what a later record shows to have been recorded late or in a coarse form."""
    periods = [replace(period, rates=plausible(period.rates)) for period in periods]
    for place in range(len(periods) - 2, -1, -1):
        earlier, later = periods[place], periods[place + 1]
        if earlier.end != later.start:
            continue
        rates = completed(earlier.rates, later.rates)
        if rates != earlier.rates:
            note(f"completed from the record of {later.dated}: {show(earlier.rates)} -> {show(rates)}")
            periods[place] = replace(earlier, rates=rates)
    return merged(periods)


def plausible(rates):
    """Returns the prices without zeros beside a price of input, and without size tiers that change nothing."""
    base = rates[0]
    if base.get("input"):
        rates = {above: {kind: price for kind, price in tier.items() if price} for above, tier in rates.items()}
    return {above: tier for above, tier in rates.items() if above == 0 or tier != rates[0]}


def completed(earlier, later):
    """Returns the earlier prices with what only the later record has, where both state the same list.

    The history began with input and output: cache prices, size tiers and exact limits came with later records.
    """
    if not same_list(earlier[0], later[0]):
        return earlier
    base = {**later[0], **{kind: price for kind, price in earlier[0].items() if not is_rounded(price, later[0][kind])}}
    tiers = {above: tier for above, tier in later.items() if above}
    keeps = len(earlier) > 1 and [tier["input"] for tier in earlier.values()][1:] != [
        tier["input"] for tier in tiers.values()
    ]
    if keeps:
        tiers = {above: tier for above, tier in earlier.items() if above}
    return {0: base, **tiers}


def same_list(earlier, later):
    known = earlier.keys() & later.keys()
    equal = all(earlier[kind] == later[kind] or is_rounded(earlier[kind], later[kind]) for kind in known)
    return earlier.keys() <= later.keys() and equal


def is_rounded(price, exact):
    """Returns whether the first is the second, rounded to fewer digits, of which it has two at least."""
    return len(price.as_tuple().digits) > 1 and price != exact and price == exact.quantize(Decimal(1).scaleb(price.as_tuple().exponent), ROUND_HALF_UP)


def merged(periods: list[Period]) -> list[Period]:
    """Returns the periods with neighbors of equal prices as one, which keeps the first source."""
    found = []
    for period in periods:
        if found and found[-1].end == period.start and found[-1].rates == period.rates:
            found[-1] = replace(found[-1], end=period.end)
        elif period.start is None or period.start != period.end:
            found.append(period)
    return found


def at(periods: list[Period], instant: str) -> Period | None:
    """Returns the period that this instant lies in."""
    inside = (p for p in periods if (p.start or "") <= instant and (p.end is None or instant < p.end))
    return next(inside, None)


def moved(periods: list[Period], old: str, new: str) -> list[Period]:
    """Returns the periods with one boundary moved."""
    move = {old: new}
    return [replace(p, start=move.get(p.start, p.start), end=move.get(p.end, p.end)) for p in periods]


def replaced_from(periods: list[Period], new: Period) -> list[Period]:
    """Returns the periods with a new one that ends what was there from its start on."""
    before = [p for p in periods if (p.start or "") < new.start]
    kept = [replace(p, end=min(p.end or new.start, new.start)) for p in before]
    return merged([*kept, new])


def show(rates) -> str:
    def text(tier):
        return " ".join(f"{kind}={price:f}" for kind, price in tier.items())

    return "; ".join(text(tier) if above == 0 else f">{above}: {text(tier)}" for above, tier in rates.items())
