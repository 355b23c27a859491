"""The words of a task in reports do not depend on the fields of the task."""

from lipschitz.tasks.wording import wording


def test_a_task_with_fields_has_the_words_of_its_name() -> None:
    assert wording("classification(train_size=1000, validation=0.0)") == wording("classification")
    assert wording("classification") != wording("generation")


def test_a_task_of_a_file_has_the_words_of_generation() -> None:
    for label in ("my_task.py:Mine", "my_task.py:Mine(steps=2)", "mine", ""):
        assert wording(label) == wording("generation")
