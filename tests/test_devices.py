import warnings

import pytest
import torch

import depthclip_core as dc
from depthclip_core import devices
from depthclip_core.devices import card_precisions, device_name, has_bf16, resolve_device
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


def with_card(monkeypatch, capability=(9, 0), fault=None, old_driver=False):
    """A machine with a card; fault: what its first use raises. old_driver: what torch warns of."""
    zeros = torch.zeros

    def available():
        if old_driver:
            warnings.warn(
                "CUDA initialization: The NVIDIA driver is too old.\nSee ...", stacklevel=1
            )
        return not old_driver

    def use(*shape, device=None):
        if fault:
            raise RuntimeError(fault)
        return zeros(*shape)

    monkeypatch.setattr(torch.cuda, "is_available", available)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A card")
    monkeypatch.setattr(torch, "zeros", use)


def test_auto_is_a_card_that_works(monkeypatch, recwarn):
    with_card(monkeypatch)
    assert resolve_device("auto").type == "cuda" and not recwarn.list


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ({"fault": "no kernel image is available\nfor execution"}, "no kernel image is available"),
        ({"old_driver": True}, "The NVIDIA driver is too old"),
    ],
)
def test_auto_warns_of_a_card_that_cannot_be_used(monkeypatch, card, says):
    with_card(monkeypatch, **card)
    with pytest.warns(
        UserWarning, match=rf"no GPU is used, the processor computes: .*{says}"
    ) as got:
        assert resolve_device("auto").type == "cpu"
    assert len(got) == 1 and "\n" not in str(got[0].message)


def test_named_card_that_cannot_be_used_is_an_error(monkeypatch):
    with_card(monkeypatch, fault="no kernel image is available\nfor execution")
    with pytest.raises(DepthClipError, match="device cuda cannot be used: no kernel image"):
        resolve_device("cuda")


@pytest.mark.parametrize(
    ("capability", "known"),
    [((5, 2), ("fp32",)), ((7, 5), ("fp32", "fp16")), ((8, 0), ("fp32", "fp16", "bf16"))],
)
def test_precisions_of_a_card(monkeypatch, capability, known):
    with_card(monkeypatch, capability)
    assert card_precisions(torch.device("cuda")) == known
    for precision in {"fp16", "bf16"} - {*known}:
        says = f"A card does not compute in {precision}: use {' or '.join(known)}$"
        with pytest.raises(DepthClipError, match=says):
            dc.load_encoder("sample", device="cuda", precision=precision)


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
