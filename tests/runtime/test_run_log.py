"""Reading what runs have logged."""

from rlepose.runtime.run_log import curve


def test_a_curve_has_the_lines_with_its_number_at_the_images_seen() -> None:
    history = [{"step": 2, "images": 8, "a": 1}, {"step": 3, "images": 16, "a": None}, {"step": 4, "b": 5}]
    assert curve(history, "a", batch_size=10) == [(8, 1)]


def test_a_curve_of_an_old_run_counts_images_by_its_steps() -> None:
    assert curve([{"step": 2, "a": 1}], "a", batch_size=10) == [(20, 1)]
