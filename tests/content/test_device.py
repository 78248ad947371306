from pathlib import Path

import pytest
import torch

from nightreel.content.encoders.device import choose_device, choose_dtype
from nightreel.settings.embed import Embed
from nightreel.settings.section import SettingsError

INTEL, AMD = "vendor_id : GenuineIntel", "vendor_id : AuthenticAMD"


@pytest.mark.parametrize(
    ("vendor", "flags", "expected"),
    [
        (INTEL, "avx512f avx512_bf16 amx_bf16 amx_tile", torch.bfloat16),
        (INTEL, "avx512f avx512_bf16", torch.float32),
        (AMD, "avx512f avx512_bf16", torch.bfloat16),
        (AMD, "avx2 fma", torch.float32),
    ],
)
def test_bfloat16_where_it_pays(
    tmp_path: Path, embed_settings: Embed, vendor: str, flags: str, expected: torch.dtype
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\n{vendor}\nflags : fpu {flags}\n")
    auto = embed_settings.model_copy(update={"dtype": "auto"})
    assert choose_dtype(auto, torch.device("cpu"), cpuinfo) == expected
    assert choose_dtype(auto, torch.device("cpu"), tmp_path / "absent") == torch.float32


def test_the_type_asked_for_is_obeyed(embed_settings: Embed) -> None:
    asked = embed_settings.model_copy(update={"dtype": "bfloat16"})
    assert choose_dtype(asked, torch.device("cpu")) == torch.bfloat16


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_device_that_is_missing_names_field_and_remedy(embed_settings: Embed) -> None:
    with pytest.raises(SettingsError, match=r"embed\.device: cuda .* Set it to auto or cpu"):
        choose_device(embed_settings.model_copy(update={"device": "cuda"}))
    assert choose_device(embed_settings.model_copy(update={"device": "auto"})).type in {"cpu", "mps"}


def test_openvino_runs_on_the_cpu_alone(embed_settings: Embed) -> None:
    compiled = embed_settings.model_copy(update={"engine": "openvino", "device": "auto"})
    assert choose_device(compiled) == torch.device("cpu")
    with pytest.raises(SettingsError, match=r"embed\.device: cuda is not supported by OpenVINO"):
        choose_device(compiled.model_copy(update={"device": "cuda"}))
