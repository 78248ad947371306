"""The encoder compiled by OpenVINO, beside torch's float32."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import openvino
import openvino_telemetry
import pytest
import torch

from nightreel.content.encoders.device import Placement
from nightreel.content.encoders.openvino_backend import OpenVino
from nightreel.content.encoders.transformer import Encoder
from nightreel.settings.embed import Embed
from nightreel.settings.section import SettingsError

SLOW = pytest.mark.end_to_end  # OpenVINO compiles for seconds
CPU = Placement(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def compiled(embed_settings: Embed) -> Encoder:
    return Encoder.open(embed_settings.model_copy(update={"engine": "openvino"}))


@SLOW
def test_equal_to_torch_in_any_order_and_among_any_neighbours(
    encoder: Encoder, compiled: Encoder, texts: list[str]
) -> None:
    some = texts[::5]
    vectors = compiled.encode(some)
    assert vectors.dtype == np.float32 and (vectors * encoder.encode(some)).sum(1).min() > 0.99999
    assert np.array_equal(compiled.encode(some[::-1])[::-1], vectors)
    assert all(np.array_equal(compiled.encode([some[at]])[0], vectors[at]) for at in (0, 3, 8))


@SLOW
def test_the_bytes_do_not_depend_on_the_number_of_cores(
    compiled: Encoder, embed_settings: Embed, texts: list[str]
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        other = Encoder.open(embed_settings.model_copy(update={"engine": "openvino"}))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(other.encode(texts), compiled.encode(texts))


@SLOW
def test_what_it_computed_is_kept_apart_from_torchs(encoder: Encoder, compiled: Encoder) -> None:
    assert compiled.fingerprint() != encoder.fingerprint()
    assert compiled.card()["engine"] == "openvino"
    assert compiled.engine.provenance()["openvino"] == openvino.get_version()


@SLOW
def test_nothing_is_reported_to_anybody(
    embed_settings: Embed, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reported(*args: Any, **named: Any) -> None:
        raise AssertionError("usage was reported")

    for name in ("__init__", "start_session", "send_event"):
        monkeypatch.setattr(openvino_telemetry.Telemetry, name, reported)
    assert Encoder.open(embed_settings.model_copy(update={"engine": "openvino"})).encode(texts[:1]).any()


def test_a_machine_without_openvino_is_told_what_to_install(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SettingsError, match=r"embed\.engine: openvino .* pip install 'nightreel\[openvino\]'"):
        OpenVino.open(encoder.network, CPU)


@pytest.mark.skipif(
    "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"), reason="the CPU has bfloat16"
)
def test_bfloat16_that_the_cpu_lacks_is_refused(encoder: Encoder) -> None:
    with pytest.raises(SettingsError, match=r"embed\.dtype: OpenVINO does not support bfloat16"):
        OpenVino.open(encoder.network, replace(CPU, dtype=torch.bfloat16))


class Unfaithful:
    """A network that computes something else while it is traced."""

    def __init__(self) -> None:
        self.model = torch.nn.Linear(1, 1)
        self.folder = type("Folder", (), {"name": "odd"})

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return ids[:, :1] * torch.tensor([1.0, 0.0] if torch.jit.is_tracing() else [0.0, 1.0])


class Untraceable(Unfaithful):
    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        raise ValueError("not that way")


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Unfaithful(), r"vectors of odd have a cosine of"),
        (Untraceable(), r"can't compile odd \(not that way\)\. Set it to torch"),
    ],
)
def test_a_network_that_comes_out_different_is_refused(network: Any, told: str) -> None:
    block: Sequence[torch.Tensor] = [torch.ones((1, 4), dtype=torch.int64)] * 2
    with pytest.raises(SettingsError, match=f"embed\\.engine: .*{told}"):
        OpenVino.open(network, CPU).vectors(*block)
