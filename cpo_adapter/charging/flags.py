"""What is unusual about a transaction. A flag is written into the remark of its CDR; some hold the CDR back."""

from collections.abc import Iterable
from enum import StrEnum

REMARK_LENGTH = 255


class Flag(StrEnum):
    """Each value is the sentence a person reads in CDR.remark."""

    time_corrected = "time corrected"
    end_estimated = "end estimated, no stop was received"
    energy_estimated = "energy estimated"
    last_sample = "energy from the last meter sample"
    unit_corrected = "unit of meter samples corrected"
    other_basis = "meter samples on another basis than the start value"
    register_reset = "meter register restarted"
    sample_dropped = "implausible meter sample left out"
    stop_repeated = "a second stop with other values was received"
    samples_conflict = "meter samples contradict the stop value"
    energy_implausible = "more energy than the connector can deliver"
    energy_unknown = "no meter value known"
    start_missing = "no start was received"
    stop_before_start = "stop is before start"
    signed_left_out = "signed values were left out, too long or too many for OCPI"
    samples_truncated = "too many meter samples, the oldest were left out"


HOLDING = frozenset(
    {
        Flag.samples_conflict,
        Flag.energy_implausible,
        Flag.energy_unknown,
        Flag.start_missing,
        Flag.stop_before_start,
    }
)


def remark(flags: Iterable[Flag]) -> str:
    """The flags as one text of at most 255 characters, in the order of the enum."""
    present = frozenset(flags)
    return "; ".join(flag for flag in Flag if flag in present)[:REMARK_LENGTH]
