"""Transaction numbers (R17, S-48)."""

from cpo_adapter.numbers import permuted

KEY = b"k" * 32


def test_numbers_are_positive_31_bit_integers_and_never_repeat() -> None:
    numbers = [permuted(KEY, number) for number in range(1, 20_001)]
    assert len(set(numbers)) == len(numbers)
    assert all(0 < number < 2**31 for number in numbers)


def test_numbers_follow_no_order_and_depend_on_the_key() -> None:
    numbers = [permuted(KEY, number) for number in range(1, 101)]
    assert numbers != sorted(numbers)
    assert numbers != [permuted(b"x" * 32, number) for number in range(1, 101)]
    assert numbers == [permuted(KEY, number) for number in range(1, 101)]


def test_the_last_number_of_the_sequence_still_has_one() -> None:
    assert 0 < permuted(KEY, 2**31 - 1) < 2**31
