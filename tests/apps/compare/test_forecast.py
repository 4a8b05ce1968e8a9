"""Times of stages are added up as they run: side by side."""

from ccmim.apps.compare.forecast import Pace, clock, total_seconds


def test_a_place_takes_the_next_chain_as_soon_as_it_is_free():
    assert total_seconds([[5, 3], [2], [4]], 2) == 8  # 8 beside 2 + 4
    assert total_seconds([[5, 3], [2], [4]], 1) == 14
    assert total_seconds([], 2) == 0


def test_a_pace_gives_the_seconds_of_a_run_and_its_test():
    pace = Pace(1.5, 0.25, 0.1, steps=100, images=20, dtype='float32')
    assert pace.seconds == 2 * 1.5 + 25 + 2
    assert clock(pace.seconds + 95.6) == '2:05'
