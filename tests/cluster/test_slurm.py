"""Slurm's job scripts, from a .yaml file; nothing is submitted."""

import os
import re

import pytest

pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")

from depthclip_core.cluster.clients import connected
from depthclip_core.cluster.slurm import described_cluster
from depthclip_core.errors import DepthClipError

FILE = """
jobs: 3
queue: gpu
account: depth
cores: 4
processes: 1
memory: 32GB
walltime: "02:00:00"
interface: lo
job_extra_directives: ["--gres=gpu:1"]
job_script_prologue: ["export DEPTHCLIP_STORE=/scratch/store"]
"""


@pytest.fixture
def described(tmp_path):
    def write(text: str):
        path = tmp_path / "slurm.yaml"
        path.write_text(text)
        return path

    return write


def test_the_job_script_asks_for_what_the_file_says(described):
    cluster, jobs = described_cluster(described(FILE))
    with cluster:
        script = cluster.job_script()
    assert jobs == 3
    lines = script.splitlines()
    for line in ("-p gpu", "-A depth", "--cpus-per-task=4", "--mem=30G", "-t 02:00:00"):
        assert f"#SBATCH {line}" in lines
    assert "#SBATCH --gres=gpu:1" in lines
    assert "export DEPTHCLIP_STORE=/scratch/store" in lines
    (command,) = [line for line in lines if "distributed.cli.dask_worker" in line]
    # dask takes the last one: one task at a time, which has all cores of the job.
    assert re.findall(r"--nthreads (\d+)", command)[-1] == "1"
    assert lines.index("export OMP_NUM_THREADS=4") < lines.index(command)


def test_what_the_file_leaves_out_needs_no_settings_of_dask(described):
    cluster, jobs = described_cluster(described("interface: lo\n"))
    with cluster:
        assert jobs == 1 and "#SBATCH -t 01:00:00" in cluster.job_script()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n- b\n", "must hold lines such as"),
        ("", "must hold lines such as"),
        ("1: 2\n", "must hold lines such as"),
        ("jobs: [", "is not YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "is not YAML"),
        ("a: " + "9" * 5000, "is not YAML"),
        ("a: &a [x]\nqueue: [*a, *a]\n", "has an alias"),
        ("jobs: 0\n", "jobs is a whole number from 1 to 10,000, not 0"),
        ("jobs: true\n", "jobs is a whole number from 1 to 10,000, not True"),
        ("jobs: 2.5\n", "jobs is a whole number from 1 to 10,000, not 2.5"),
        ("jobs: 10001\n", "jobs is a whole number from 1 to 10,000, not 10001"),
        ("cores: -1\n", "cores is a whole number from 1"),
        ("processes: null\n", "processes is a whole number from 1"),
        ("processes: 4\n", "has 1 cores for 4 processes"),
        ("walltime: 10:00:00\n", 'write walltime in quotes, such as walltime: "10:00:00"'),
        ("memory: 16\n", "write memory in quotes"),
        ("qeue: gpu\n", "unknown key in .*did you mean 'queue'"),
        ("job_cls: os.system\n", "unknown key"),
        ("worker_extra_args: --lifetime 55m\n", "worker_extra_args is a list of texts"),
        ("job_script_prologue: [1]\n", "job_script_prologue is a list of texts"),
        ("memory: much\ninterface: lo\n", "describes no cluster"),
        ("#" * 200_000, "more than 100,000 bytes"),
    ],
)
def test_a_file_that_describes_no_cluster_is_said_in_one_line(described, text, said):
    with pytest.raises(DepthClipError, match=said), connected(str(described(text))):
        pass


def test_a_missing_file_is_said_in_one_line(tmp_path):
    with (
        pytest.raises(DepthClipError, match="no description of a cluster at .*none.yaml"),
        connected(str(tmp_path / "none.yaml")),
    ):
        pass


def test_a_pipe_in_place_of_the_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with (
        pytest.raises(DepthClipError, match="is a pipe or a device"),
        connected(str(tmp_path / "pipe.yaml")),
    ):
        pass


def test_arguments_and_lines_of_ones_own_are_kept(described):
    own = 'interface: lo\ncores: 8\nprocesses: 2\nworker_extra_args: ["--lifetime", "55m"]\n'
    cluster, _ = described_cluster(described(own + 'job_script_prologue: ["module load cuda"]\n'))
    with cluster:
        script = cluster.job_script()
    assert "--lifetime 55m --nthreads 1" in script
    assert "export OMP_NUM_THREADS=4\nmodule load cuda\n" in script
