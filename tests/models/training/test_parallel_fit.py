"""Pre-training: the same bytes from a worker process, and none where a model is warm-started."""

from __future__ import annotations

import time
from multiprocessing import active_children

import numpy as np
import pytest

from nightreel.data.histories import Histories
from nightreel.models.neural.transformer.config import TransformerConfig
from nightreel.models.neural.transformer.model import Transformer
from nightreel.models.training.parallel_fit import ParallelFit
from nightreel.models.training.selected_params import SelectedParams
from nightreel.models.training.training_positions import without_tail
from tests.models.neural.test_transformer import HYPER
from tests.models.neural.tiny_checkpoint import backbone
from tests.support.planted import catalogue, choices, histories


def chosen(most_new: float) -> SelectedParams:
    return choices().model_copy(update={"members": {"transformer": {**HYPER, "epochs": 1.0, "most_new": most_new}}})


def hyper() -> dict[str, float]:
    return dict(chosen(0.0).members["transformer"])


def chain() -> list[Histories]:
    return [without_tail(histories(), 2, 3), without_tail(histories(), 1, 3), histories()]


@pytest.mark.end_to_end
def test_the_same_bytes_as_here() -> None:
    inner, train, everything = chain()
    with ParallelFit(8, catalogue(), [inner, train, everything], clock=True) as ahead:
        assert ahead.begin(chosen(0.0), lambda _: None) is None and ahead.workers == 2
        config, other = (choices.config("transformer") for choices in (chosen(0.0), chosen(0.5)))
        assert ahead.ready("transformer", inner, config) is None and ahead.ready("ease", train, config) is None
        assert ahead.ready("transformer", train, other) is None, "it has other hyper-parameters"
        for own in (train, everything):
            member, here = (
                ahead.ready("transformer", own, config),
                Transformer.fit(own, catalogue(), TransformerConfig.model_validate(hyper()), clock=True),
            )
            assert isinstance(member, Transformer) and member.events == len(own.items)
            assert all(np.array_equal(array, here.arrays()[name]) for name, array in member.arrays().items())
        assert ahead.memory > 1e8, "a process with torch"


def test_nothing_is_started_that_would_be_warm_started_or_load_a_checkpoint_or_has_no_worker() -> None:
    for given in (chosen(1.0), chosen(0.0).model_copy(update={"backbone": backbone()})):
        with ParallelFit(1, catalogue(), chain(), clock=True) as ahead:
            ahead.begin(given, lambda _: None)
            assert not ahead.jobs
    with ParallelFit(0, catalogue(), chain(), clock=True) as alone:
        alone.begin(chosen(0.0), lambda _: None)
        assert not alone.jobs and alone.ready("transformer", chain()[1], chosen(0.0).config("transformer")) is None


def test_an_error_does_not_wait_for_what_was_begun() -> None:
    members = {"transformer": {**HYPER, "epochs": 10_000.0, "tokens": 1000.0, "most_new": 0.0}}
    began = time.monotonic()
    with pytest.raises(ValueError, match="wrong"), ParallelFit(1, catalogue(), chain(), clock=True) as ahead:
        ahead.begin(choices().model_copy(update={"members": members}), lambda _: None)
        raise ValueError("wrong")
    assert time.monotonic() - began < 60, "it would train for hours"


def test_after_a_killed_process_the_work_is_left_to_whoever_asks(capsys: pytest.CaptureFixture[str]) -> None:
    with ParallelFit(1, catalogue(), chain(), clock=True) as ahead:
        ahead.begin(chosen(0.0), lambda _: None)
        for process in active_children():
            process.kill()
        assert ahead.ready("transformer", chain()[1], chosen(0.0).config("transformer")) is None
    assert "its worker process was killed" in capsys.readouterr().out
