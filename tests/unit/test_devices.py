"""What a GPU's worker finds and claims, on machines with and without one.

The driver's own programs are played by others: an `nvidia-smi` that prints what a
real one has printed, and a `pynvml` that answers as NVML does. The claims are real.
"""

# ruff: noqa: N802 - NVML names its functions as it does

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import pytest

from headway.errors import ConfigurationError
from headway.settings import Settings
from headway.worker.claims import claim
from headway.worker.devices import Device, visible

ROOT = Path(__file__).parents[2]
FIRST, SECOND = Device(name="0"), Device(name="1")

TWO_WHOLE = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89fd7a-1111-2222-3333-444444444444)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-00000000-1111-2222-3333-444444444444)
"""
ONE_CUT = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89fd7a-1111-2222-3333-444444444444)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-1111-5c80-9a00-000000000000)
  MIG 1g.5gb      Device  1: (UUID: MIG-cba663e8-1111-5c80-9a00-000000000000)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-00000000-1111-2222-3333-444444444444)
"""
UUIDS = [f"GPU-{first}-1111-2222-3333-444444444444" for first in ("5c89fd7a", "0" * 8)]
PARTS = [
    f"MIG-{first}-1111-5c80-9a00-000000000000" for first in ("c6d4f1ef", "cba663e8")
]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch, tmp_path):
    """Whatever this machine has: no NVML, and no nvidia-smi on the PATH."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()


@pytest.fixture
def nvidia_smi(tmp_path):
    def write(script: str) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.write_text(f"#!{sys.executable}\nimport sys\n{script}")
        program.chmod(0o755)

    return write


def found(**settings) -> tuple[Device, ...]:
    return visible(Settings(**settings), queue="gpu")


# -- which devices there are -----------------------------------------------------


def test_named_devices_are_taken_at_their_word():
    assert found(devices=("0", "MIG-1")) == (FIRST, Device(name="MIG-1"))


def test_named_devices_win_over_given_ones():
    assert found(devices=("1",), cuda_visible_devices="0") == (SECOND,)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("0", ["0"]),
        ("2, 1", ["2", "1"]),
        ("0,0", ["0"]),
        ("0,-1,1", ["0"]),
        (f"{UUIDS[0]},1", [UUIDS[0], "1"]),
        ("MIG-GPU-5c89fd7a/1/0", ["MIG-GPU-5c89fd7a/1/0"]),
    ],
)
def test_given_devices_are_read_as_cuda_reads_them(given, names):
    assert [each.name for each in found(cuda_visible_devices=given)] == names


@pytest.mark.parametrize("given", ["", "-1", "NoDevFiles"])
def test_hidden_devices_are_not_looked_for(given, nvidia_smi):
    nvidia_smi(f"print({TWO_WHOLE!r})")
    with pytest.raises(ConfigurationError) as caught:
        found(cuda_visible_devices=given)
    assert f"CUDA_VISIBLE_DEVICES={given!r} hides all" in str(caught.value)


def test_nvidia_smi_lists_them(nvidia_smi):
    nvidia_smi(f"assert sys.argv[1:] == ['-L']\nprint({TWO_WHOLE!r})")
    assert found() == (
        Device(name="0", uuid=UUIDS[0]),
        Device(name="1", uuid=UUIDS[1]),
    )


def test_the_parts_of_a_cut_device_stand_in_its_place(nvidia_smi):
    nvidia_smi(f"print({ONE_CUT!r})")
    assert [each.name for each in found()] == [*PARTS, "1"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("print('No devices found.'); sys.exit(6)", "nvidia-smi: No devices found."),
        ("sys.exit('driver mismatch')", "nvidia-smi: driver mismatch"),
        ("sys.exit(9)", "returned non-zero exit status 9"),
        ("", "nvidia-smi knows of no device"),
    ],
)
def test_what_nvidia_smi_complains_of_is_passed_on(nvidia_smi, script, said):
    nvidia_smi(script)
    with pytest.raises(ConfigurationError) as caught:
        found()
    assert said in str(caught.value)


def test_an_nvidia_smi_that_cannot_be_run_is_named(tmp_path):
    program = tmp_path / "bin" / "nvidia-smi"
    program.write_text("not a program")
    program.chmod(0o755)
    with pytest.raises(ConfigurationError, match="nvidia-smi: .*Exec format error"):
        found()


def test_without_any_the_queue_is_named_with_all_that_was_tried():
    with pytest.raises(ConfigurationError) as caught:
        found()
    assert str(caught.value) == (
        "Queue('gpu', device=\"cuda\") needs a GPU, and none was found (NVML: "
        "`headway[gpu]` is not installed; nvidia-smi: not on the PATH): serve it where "
        "there is one, or name the devices, as HEADWAY_DEVICES=0"
    )


# -- NVML ------------------------------------------------------------------------


class NVMLError(Exception):
    pass


class NotSupported(NVMLError):
    pass


class NotFound(NVMLError):
    pass


class NVML(types.ModuleType):
    """What NVML says of these devices: each a UUID, or the UUIDs of its parts."""

    NVML_DEVICE_MIG_ENABLE = 1
    NVMLError = NVMLError
    NVMLError_NotSupported = NotSupported
    NVMLError_NotFound = NotFound

    def __init__(self, *devices, mistake=None):
        super().__init__("pynvml")
        self.devices = devices
        self.mistake = mistake
        self.is_begun = False

    def nvmlInit(self):
        if self.mistake:
            raise NVMLError(self.mistake)
        self.is_begun = True

    def nvmlShutdown(self):
        self.is_begun = False

    def nvmlDeviceGetCount(self):
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, number):
        return self.devices[number]

    def nvmlDeviceGetMigMode(self, gpu):
        if gpu == UUIDS[0]:
            raise NotSupported
        return [int(isinstance(gpu, list)), 0]

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu):
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu, place):
        if place >= len(gpu):
            raise NotFound
        return gpu[place]

    def nvmlDeviceGetUUID(self, gpu):
        return gpu


@pytest.fixture
def nvml(monkeypatch):
    def install(*devices, mistake=None):
        module = NVML(*devices, mistake=mistake)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module

    return install


def test_nvml_is_asked_first_and_left_as_it_was(nvml, nvidia_smi):
    nvidia_smi("sys.exit(1)")
    module = nvml(*UUIDS)
    assert found() == (
        Device(name="0", uuid=UUIDS[0]),
        Device(name="1", uuid=UUIDS[1]),
    )
    assert not module.is_begun


def test_nvml_knows_of_parts(nvml):
    nvml(PARTS, UUIDS[1], [])
    assert [each.name for each in found()] == [*PARTS, "1"]


@pytest.mark.parametrize(
    ("devices", "mistake", "said"),
    [
        ((), "Driver Not Loaded", "NVML: Driver Not Loaded"),
        ((), None, "NVML knows of no device"),
    ],
)
def test_where_nvml_cannot_help_nvidia_smi_is_asked(
    nvml, nvidia_smi, devices, mistake, said
):
    nvml(*devices, mistake=mistake)
    with pytest.raises(ConfigurationError) as caught:
        found()
    assert said in str(caught.value)
    nvidia_smi(f"print({TWO_WHOLE!r})")
    assert len(found()) == 2


# -- who has which ---------------------------------------------------------------


@pytest.fixture
def take(tmp_path):
    """Claim in a folder of the test's own; given back when it ends."""
    taken = []

    def take(*wanted, **options):
        made = claim(wanted, folder=tmp_path, **options)
        taken.extend(made)
        return made

    yield take
    for each in taken:
        each.close()


def names(claims):
    return [each.device.name for each in claims]


def test_a_claim_says_what_its_child_is_started_with(take):
    (claimed,) = take(SECOND)
    assert claimed.environment == {
        "CUDA_VISIBLE_DEVICES": "1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "HEADWAY_DEVICE": "1",
    }


def test_a_device_has_one_worker(take):
    assert names(take(FIRST)) == ["0"]
    assert names(take(FIRST, SECOND)) == ["1"]
    with pytest.raises(ConfigurationError) as caught:
        take(FIRST, SECOND)
    assert f"0 by process {os.getpid()} (share 1), 1 by process" in str(caught.value)


def test_a_device_given_up_is_free(take):
    (claimed,) = take(FIRST)
    claimed.close()
    claimed.close()
    assert names(take(FIRST)) == ["0"]


@pytest.mark.parametrize(("share", "count"), [(1, 1), (0.5, 2), (0.4, 2), (1 / 3, 3)])
def test_a_share_makes_several_claims_of_a_device(take, share, count):
    assert names(take(FIRST, SECOND, share=share)) == ["0", "1"] * count
    with pytest.raises(ConfigurationError, match="no GPU has"):
        take(FIRST, SECOND, share=share)


def test_shares_of_any_size_add_up(take):
    take(FIRST, share=0.7, most=1)
    with pytest.raises(ConfigurationError, match=r"no GPU has 0\.5 of it left"):
        take(FIRST, share=0.5)
    assert len(take(FIRST, share=0.1)) == 3


def test_no_more_than_asked_for_is_taken_and_the_emptiest_first(take):
    assert names(take(FIRST, share=0.5, most=1)) == ["0"]
    assert names(take(FIRST, SECOND, share=0.5, most=2)) == ["1", "0"]


def test_a_device_is_one_by_any_of_its_names(take):
    take(Device(name="0", uuid=UUIDS[0]))
    for name in ("0", UUIDS[0]):
        with pytest.raises(ConfigurationError, match="no GPU has"):
            take(Device(name=name))


@pytest.mark.parametrize("share", [0, -0.5, 1.01, 2, float("nan"), float("inf")])
def test_a_share_is_more_than_nothing_and_at_most_all(take, share):
    with pytest.raises(ConfigurationError, match="expected more than 0 and at most 1"):
        take(FIRST, share=share)


CLAIM = """
import sys
from pathlib import Path
from headway.worker.claims import claim
from headway.worker.devices import Device
claimed = claim([Device(name="0")], folder=Path(sys.argv[1]))
"""
HOLD = f"""{CLAIM}
print(flush=True)
sys.stdin.read()
"""
HAVE_IT_HELD = f"""{CLAIM}
import subprocess
lock = claimed[0].fileno()
child = subprocess.Popen(["/bin/cat"], pass_fds=[lock])
print(flush=True)
"""


@pytest.fixture
def python(tmp_path):
    """Start Python on a source; it is killed when the test ends."""
    started = []

    def start(source):
        process = subprocess.Popen(
            [sys.executable, "-c", source, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT / "src")},
        )
        started.append(process)
        assert process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait(10)


def test_a_killed_workers_device_is_free(python, take):
    worker = python(HOLD)
    with pytest.raises(ConfigurationError, match=f"0 by process {worker.pid} "):
        take(FIRST)
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    assert names(take(FIRST)) == ["0"]


def test_a_child_that_outlives_its_worker_keeps_the_device(python, take):
    worker = python(HAVE_IT_HELD)
    worker.wait(10)
    with pytest.raises(ConfigurationError, match=f"0 by process {worker.pid} "):
        take(FIRST)
    worker.stdin.close()  # which ends the child
    assert worker.stdout.read() == b""


def test_claims_lie_in_a_folder_of_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (claimed,) = claim([FIRST])
    folder = tmp_path / f"headway-devices-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    claimed.close()


def test_a_folder_that_another_has_laid_there_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"headway-devices-{os.getuid()}").symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="belongs to another user.*TMPDIR"):
        claim([FIRST])


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="nowhere cannot hold the claims"):
        claim([FIRST], folder=tmp_path / "nowhere")
