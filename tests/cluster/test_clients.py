"""Which cluster a text names, and what each worker of a machine sees."""

import os

import pytest
import torch

from depthclip_core.cluster import clients
from depthclip_core.cluster.clients import connected, environments
from depthclip_core.errors import DepthClipError


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "names no cluster: give tcp://"),
        ("my-cluster", "'my-cluster' names no cluster: give tcp://"),
        ("local", "names no cluster"),
        ("http://127.0.0.1:80", "names no cluster"),
        ("local:", "from 1 to 256"),
        ("local:0", "from 1 to 256"),
        ("local:-1", "from 1 to 256"),
        ("local:2.5", "from 1 to 256"),
        ("local:1000", "from 1 to 256"),
        ("local:²", "from 1 to 256"),
        ("local:" + "9" * 5000, "from 1 to 256"),
        ("a\0b.yaml", "cannot be a path"),
    ],
)
def test_what_names_no_cluster_is_said_in_one_line(where, said):
    with pytest.raises(DepthClipError, match=said), connected(where):
        pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tls://127.0.0.1:1", "tcp://", "tcp://x"])
def test_a_scheduler_that_does_not_answer_is_said_in_one_line(address, monkeypatch):
    monkeypatch.setattr(clients, "PATIENCE", 0.5)
    with pytest.raises(DepthClipError) as caught, connected(address):
        pass
    assert str(caught.value).startswith(f"no scheduler answers at {address}: ")
    assert str(caught.value).endswith("start one with `dask scheduler`, or give local:N")


def test_a_running_scheduler_is_used_and_goes_on(capsys):
    from distributed import Client, LocalCluster

    options = {"n_workers": 1, "processes": False, "dashboard_address": None}
    with LocalCluster(host="127.0.0.1", protocol="tcp://", **options) as cluster:
        address = cluster.scheduler_address
        with connected(address) as client:
            assert client.submit(sum, [1, 2]).result() == 3
        assert "dashboard of the cluster: " in capsys.readouterr().err
        with Client(address) as another:
            assert another.submit(sum, [3, 4]).result() == 7


def test_without_dask_the_extra_is_named(monkeypatch):
    def without(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(clients, "import_module", without)
    with pytest.raises(DepthClipError, match=r"pip install 'depthclip-workbook\[cluster\]'"):
        clients.required("distributed")


def test_workers_share_the_processors(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(clients, "usable_cores", lambda: 8)
    assert environments(2) == [{"OMP_NUM_THREADS": "4"}] * 2
    assert environments(16) == [{"OMP_NUM_THREADS": "1"}] * 16
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environments(2) == [{"OMP_NUM_THREADS": "3"}] * 2


@pytest.mark.parametrize(
    ("visible", "n_cards", "seen"),
    [
        (None, 2, ["0", "1", "0"]),
        ("5,7", 2, ["5", "7", "5"]),
        ("GPU-a, GPU-b,GPU-c", 3, ["GPU-a", "GPU-b", "GPU-c"]),
        ("0,1,9", 2, ["0", "1", "0"]),  # CUDA counts up to the first that does not exist
    ],
)
def test_each_worker_sees_one_gpu(monkeypatch, visible, n_cards, seen):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_cards)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in environments(3)] == seen


@pytest.mark.slow
def test_workers_have_their_variables_and_speak_encrypted(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with connected("local:2", announce=False) as client:
        seen = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
        assert sorted(seen.values()) == ["0", "1"]
        assert all(address.startswith("tls://127.0.0.1:") for address in seen)
        assert client.scheduler.address.startswith("tls://127.0.0.1:")
        assert client.dashboard_link.startswith("http://127.0.0.1:")
