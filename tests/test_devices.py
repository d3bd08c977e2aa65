import pytest
import torch

from depthclip_core import devices
from depthclip_core.devices import device_name, has_bf16, resolve_device
from depthclip_core.errors import DepthClipError


@pytest.mark.parametrize(
    ("flags", "native"),
    [
        ({"sse4_2", "avx2", "fma"}, False),  # AMD Zen 2 and 3
        ({"avx2", "avx512f", "avx512_vnni"}, False),  # Intel Ice Lake
        ({"avx2", "avx512f", "avx512_bf16"}, True),  # AMD Zen 4
        ({"avx2", "avx512_bf16", "amx_bf16", "amx_tile"}, True),  # Intel Sapphire Rapids
        ({"fp", "asimd", "i8mm", "bf16"}, True),  # ARM Neoverse V1
        ({"fp", "asimd"}, False),  # ARM Neoverse N1
        (set(), True),  # not known, as on macOS
    ],
)
def test_has_bf16_reads_the_processors_flags(flags, native):
    assert has_bf16(flags) == native


def test_has_bf16_knows_this_processor():
    assert has_bf16() in (True, False)


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99", "", None, 1.5, ["cpu"]])
def test_device_that_cannot_be_used_is_one_clear_line(device):
    with pytest.raises(DepthClipError, match="device .*cannot be used") as caught:
        resolve_device(device)
    assert "\n" not in str(caught.value)


def test_resolve_device_takes_names_and_devices():
    cpu = torch.device("cpu")
    assert resolve_device("cpu") == resolve_device(cpu) == cpu
    assert resolve_device("auto").type in ("cpu", "cuda")
    assert device_name(cpu)


@pytest.mark.parametrize(
    ("usable", "given", "expected"),
    [(1, None, 1), (3, None, 3), (8, None, None), (1, "4", None)],
    ids=["one", "some", "as many as torch has", "OMP_NUM_THREADS wins"],
)
def test_torch_is_kept_to_the_processors_of_the_process(monkeypatch, usable, given, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(devices, "usable_cores", lambda: usable)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    resolve_device("cpu")
    assert asked == ([] if expected is None else [expected])
