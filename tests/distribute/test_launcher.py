"""Which command starts the ranks, and when a job counts as complete."""

import os
import signal
import subprocess
import sys
import time

import pytest

from distkeras import _settings
from distkeras._errors import MPIUnavailableError
from distkeras.distribute import hosts, launcher
from tests.data.leftovers import is_alive


@pytest.fixture
def mpirun(tmp_path):
    """Makes an mpirun: a shell script that answers --version, or else runs what it is given."""

    def make(version, then="exit 0"):
        path = tmp_path / "mpirun"
        path.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{version}"; exit 0; fi\n{then}\n')
        path.chmod(0o755)
        return str(path)

    return make


def plan(flags, variables=None, program=("train.py", "--epochs", "3")):
    return launcher.plan(program, _settings.resolve(flags, {}), variables or {})


def test_one_rank_needs_no_mpirun():
    result = plan({"ranks": 1, "mpirun": "/no/such/mpirun"})
    assert result.command == [sys.executable, "train.py", "--epochs", "3"]
    assert "OMP_NUM_THREADS" not in result.variables


def test_openmpi(mpirun, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(launcher.environment, "available_cores", lambda: 8)
    path = mpirun("mpirun (Open MPI) 5.0.11")
    result = plan({"ranks": 4, "mpirun": path, "mpirun_args": "--tag-output --x 'a b'", "cache_dir": "/c"})
    assert result.command[:5] == [path, "-n", "4", "--bind-to", "none"]
    assert result.command[-6:] == ["--x", "a b", sys.executable, "train.py", "--epochs", "3"]
    exported = [second for first, second in zip(result.command, result.command[1:], strict=False) if first == "-x"]
    assert {"OMP_NUM_THREADS", "DISTKERAS_CACHE_DIR", launcher.RUN_DIRECTORY} <= set(exported)
    assert result.variables["OMP_NUM_THREADS"] == result.variables["NUMBA_NUM_THREADS"] == "2"
    assert result.variables["DISTKERAS_CACHE_DIR"] == "/c"
    assert result.variables["OMPI_ALLOW_RUN_AS_ROOT"] == result.variables["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] == "1"
    assert result.variables["OMPI_MCA_mpi_yield_when_idle"] == "1" and result.variables["OMPI_MCA_btl"] == "^ofi"
    assert result.variables["PRTE_MCA_rmaps_default_mapping_policy"] == ":oversubscribe"


def test_nobody_but_root_says_so(mpirun, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = plan({"ranks": 2, "mpirun": mpirun("mpirun (Open MPI) 5.0.11")})
    assert not any("ROOT" in name for name in result.variables)


def test_mpich_takes_its_own_flags(mpirun, tmp_path):
    hostfile = tmp_path / "hosts"
    hostfile.write_text("# two nodes\na:2\nb:2\n\n")
    path = mpirun("HYDRA build details:")
    result = plan({"ranks": 4, "mpirun": path, "hostfile": str(hostfile)})
    assert result.command[:7] == [path, "-n", "4", "-f", str(hostfile), "-bind-to", "none"]
    assert not any(name.startswith(("OMPI_", "PRTE_")) for name in result.variables)


def test_several_hosts_share_ranks_and_may_use_fabrics(mpirun, tmp_path, monkeypatch):
    monkeypatch.setattr(launcher.environment, "available_cores", lambda: 8)
    hostfile = tmp_path / "hosts"
    hostfile.write_text("a slots=2\nb slots=2\n")
    result = plan({"ranks": 4, "mpirun": mpirun("mpirun (Open MPI) 5.0.11"), "hostfile": str(hostfile)})
    assert result.command[3:5] == ["--hostfile", str(hostfile)]
    assert result.variables["OMP_NUM_THREADS"] == "4"
    assert not any(name.startswith(("OMPI_MCA", "PRTE_")) for name in result.variables)


def test_slurm_allocation_gives_threads_and_nodes(mpirun):
    slurm = {"SLURM_CPUS_PER_TASK": "7", "SLURM_JOB_NUM_NODES": "2"}
    result = plan({"ranks": 4, "mpirun": mpirun("mpirun (Open MPI) 5.0.11")}, slurm)
    assert result.variables["OMP_NUM_THREADS"] == "7" and "OMPI_MCA_btl" not in result.variables


def test_what_the_user_set_stays(mpirun):
    own = {"OMP_NUM_THREADS": "5", "OMPI_MCA_btl": "tcp,self"}
    result = plan({"ranks": 2, "mpirun": mpirun("mpirun (Open MPI) 5.0.11")}, own)
    assert not own.keys() & result.variables.keys()


def test_a_hostfile_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(OSError, match="the hostfile .*nofile cannot be read: .*No such file.* `node1 slots=8`"):
        plan({"ranks": 2, "hostfile": str(tmp_path / "nofile")})


def test_an_empty_hostfile_is_refused(tmp_path, mpirun):
    (tmp_path / "hosts").write_text("# none\n")
    with pytest.raises(ValueError, match="names no host"):
        plan({"ranks": 2, "mpirun": mpirun("Open MPI"), "hostfile": str(tmp_path / "hosts")})


def test_no_mpirun(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MPIUnavailableError, match=r"pip install 'distkeras\[mpi\]'"):
        launcher.find_mpirun()
    with pytest.raises(MPIUnavailableError, match="mpirun was set to '/no/such'"):
        launcher.find_mpirun("/no/such")


def test_the_mpirun_beside_python_comes_before_that_in_path(monkeypatch, tmp_path):
    for folder in ("venv", "system"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mpirun").write_text("#!/bin/sh\n")
        (tmp_path / folder / "mpirun").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "system"))
    assert launcher.find_mpirun() == tmp_path / "venv" / "mpirun"


@pytest.mark.parametrize(
    "then, expected",
    [
        ("exit 0", 1),  # it may have started nothing
        ("exit 7", 7),
        ("kill -9 $$", 137),
        ('echo 2 > "$DISTKERAS_RUN_DIR/started"', 1),
        ('touch "$DISTKERAS_RUN_DIR/started" "$DISTKERAS_RUN_DIR/finished"', 0),
        ('touch "$DISTKERAS_RUN_DIR/started" "$DISTKERAS_RUN_DIR/finished"; exit 3', 3),
    ],
)
def test_success_needs_the_mark_of_completion(mpirun, capfd, then, expected):
    assert launcher.run(plan({"ranks": 2, "mpirun": mpirun("unknown", then)})) == expected
    told = capfd.readouterr().err
    assert ("not all 2 ranks reached the end" in told) == ("echo 2" in then)
    assert ("nothing was heard of its ranks" in told) == (then == "exit 0")


def test_programs_that_do_not_use_distkeras_may_be_run(mpirun):
    assert launcher.run(plan({"ranks": 2, "mpirun": mpirun("mpirun (Open MPI) 5.0.11")})) == 0


@pytest.mark.parametrize(("hosts_named", "expected", "times"), [("a:1,b:1", 0, 2), (None, 213, 1)])
def test_an_mpirun_that_cannot_start_on_another_host_is_tried_again(mpirun, tmp_path, hosts_named, expected, times):
    tried = tmp_path / "tried"
    then = f'echo >> {tried}; [ $(wc -l < {tried}) = 2 ] || exit 213; touch "$DISTKERAS_RUN_DIR/finished"'
    given = {"ranks": 2, "mpirun": mpirun("mpirun (Open MPI) 5.0.11", then), "hosts": hosts_named}
    assert launcher.run(plan(given)) == expected
    assert len(tried.read_text().splitlines()) == times


@pytest.mark.parametrize("note", ["failed", "lost"])
def test_an_mpirun_that_waits_for_a_lost_host_is_killed(mpirun, tmp_path, capfd, monkeypatch, note):
    monkeypatch.setitem(launcher._TIME_TO_END, note, 0.5)
    rank = f"OMPI_COMM_WORLD_SIZE=2 sh -c 'echo $$ > {tmp_path}/rank; exec sleep 60' &"
    then = f'echo 2 > "$DISTKERAS_RUN_DIR/started"; echo 124 > "$DISTKERAS_RUN_DIR/{note}"; {rank} exec sleep 60'
    assert launcher.run(plan({"ranks": 2, "mpirun": mpirun("unknown", then)})) == 124
    process = (tmp_path / "rank").read_text().strip()
    deadline = time.monotonic() + 10
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(process)  # nor is a rank left that has no place on the board
    assert "mpirun did not end within" in capfd.readouterr().err


def test_rank_0_marks_the_completion(tmp_path):
    program = "import sys\nfrom distkeras.distribute.mpi import world\nworld()\n"
    script = tmp_path / "train.py"
    script.write_text(program)
    folder = os.path.dirname(os.path.dirname(launcher.__file__))
    result = launcher.plan([str(script)], _settings.resolve({"ranks": 2}, {}))
    (tmp_path / "run").mkdir()
    variables = {
        **os.environ,
        **result.variables,
        launcher.RUN_DIRECTORY: str(tmp_path / "run"),
        "PYTHONPATH": os.path.dirname(folder),
    }
    with launcher.started(result.command, env=variables) as process:
        assert process.wait(60) == 0
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {"finished", "started", "here-0", "here-1", "position-0", "position-1"}


# Killed, the launcher can pass nothing on: the system does, so that no ranks are left.
@pytest.mark.parametrize(("sent", "heard"), [("USR1", "USR1"), ("TERM", "USR1"), ("KILL", "TERM")])
def test_signals_are_passed_on_to_mpirun(mpirun, tmp_path, sent, heard):
    # The shell waits in short sleeps, for it runs its trap between commands only.
    trap = f"trap 'echo got > {tmp_path}/got; exit 9' {heard}"
    then = f"{trap}\ntouch {tmp_path}/ready\nfor i in $(seq 200); do sleep 0.05; done"
    path = mpirun("unknown", then)
    program = (
        "from distkeras import _settings\nfrom distkeras.distribute import launcher\n"
        f"settings = _settings.resolve({{'ranks': 2, 'mpirun': {path!r}}}, {{}})\n"
        "raise SystemExit(launcher.run(launcher.plan(['x.py'], settings)))"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 20
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.Signals[f"SIG{sent}"])
    assert process.wait(20) == (-9 if sent == "KILL" else 9)
    while not (tmp_path / "got").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / "got").exists()


def test_a_folder_that_cannot_be_written_is_named(mpirun):
    with pytest.raises(OSError, match=r"no folder can be made in /proc: .* call it in one that"):
        launcher.run(plan({"ranks": 2, "mpirun": mpirun("unknown", "exit 0")}), shared_folder="/proc")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a slots=2\n# b slots=1\nb slots = 4 max_slots=8  # the large one\n", {"a": 2, "b": 4}),
        ("a:2\nb:3\na:1\n", {"a": 3, "b": 3}),
        ("a\nb slots=2\n", {"a": None, "b": 2}),
    ],
)
def test_slots_of_hostfiles(tmp_path, text, expected):
    (tmp_path / "hosts").write_text(text)
    assert hosts.slots_by_host(_settings.resolve({"hostfile": str(tmp_path / "hosts")}, {})) == expected


def test_slots_that_are_no_number(tmp_path):
    (tmp_path / "hosts").write_text("a slots=two\n")
    with pytest.raises(ValueError, match="slots of host a must be a whole number, received 'two' in 'a slots=two'"):
        hosts.slots_by_host(_settings.resolve({"hostfile": str(tmp_path / "hosts")}, {}))
    with pytest.raises(ValueError, match="slots of host b must be a whole number, received 'x'"):
        hosts.slots_by_host(_settings.resolve({"hosts": "a:2,b:x"}, {}))


def test_hosts_on_the_command_line(mpirun):
    given = {"ranks": 3, "hosts": "a:2,b"}
    result = plan({**given, "mpirun": mpirun("mpirun (Open MPI) 5.0.11")})
    assert result.command[3:5] == ["--host", "a:2,b"] and result.hosts == ("a", "b")
    assert plan({**given, "mpirun": mpirun("HYDRA build details:")}).command[3:5] == ["-hosts", "a:2,b"]
    with pytest.raises(ValueError, match="named twice, by the hostfile hosts and as a:2,b"):
        plan({**given, "hostfile": "hosts"})


@pytest.mark.fault("more ranks than slots")
def test_more_ranks_than_slots(mpirun):
    given = {"ranks": 4, "hosts": "a:2,b:1", "mpirun": mpirun("mpirun (Open MPI) 5.0.11")}
    with pytest.raises(ValueError, match=r"4 ranks do not fit into the 3 slots of the hosts \(a: 2, b: 1\)"):
        plan(given)
    assert plan({**given, "mpirun_args": "--map-by :OVERSUBSCRIBE"}).ranks == 4
    assert plan({**given, "mpirun": mpirun("HYDRA build details:")}).ranks == 4


@pytest.mark.fault("an unknown host")
def test_an_unknown_host_is_named(mpirun, capfd):
    given = {"ranks": 2, "hosts": "localhost:1,no-such-host.invalid:1"}
    launch = plan({**given, "mpirun": mpirun("mpirun (Open MPI) 5.0.11", "exit 1")})
    assert launcher.run(launch) == 1
    assert "no address is known for no-such-host.invalid, of the hosts localhost, no-such" in capfd.readouterr().err


def test_the_end_of_a_process_is_waited_for_asleep():
    process = subprocess.Popen(["sleep", "60"])
    with pytest.raises(subprocess.TimeoutExpired):
        launcher._wait_asleep(process, 0.05)
    process.kill()
    assert launcher._wait_asleep(process, 60) == -signal.SIGKILL
    assert launcher._wait_asleep(process, 60) == -signal.SIGKILL  # ended before
