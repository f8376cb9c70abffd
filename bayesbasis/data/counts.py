"""Counts that a user gives."""


def at_least_one(**counts: int) -> None:
    """Refuse a count that is not positive, by its name.

    Raises
    ------
    ValueError
        If one is below 1.

    Examples
    --------
    >>> at_least_one(draws=0)
    Traceback (most recent call last):
    ValueError: draws is 0; it must be at least 1
    """
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}; it must be at least 1")
