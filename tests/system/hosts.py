"""Several hosts on this machine: each has a name, an address, a network card and local disks of its own.

    switch            a network namespace with a bridge
      |-- host1       namespaces for network, names, mounts, shared memory: 10.77.0.1
      `-- host2       ... 10.77.0.2

A host is what runs in its namespaces: killed, all of that is gone, as if its power had failed. /tmp/local and /dev/shm
are disks of its own; all else is seen by all, as a shared disk is. Ranks reach other hosts over TCP. Instead of ssh,
mpirun calls a script that enters the host.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from distkeras.distribute.environment import without_launcher

PROJECT = Path(__file__).parents[2]
LOCAL = "/tmp/local"
NETWORK = "10.77.0"
AGENT = """#!/bin/sh
# What mpirun calls instead of ssh: [options] HOST COMMAND...
while case "$1" in -*) true ;; *) false ;; esac; do shift; done
name=$1; shift
[ -f "{folder}/$name" ] || {{ echo "no host $name" >&2; exit 255; }}
exec nsenter --target "$(cat "{folder}/$name")" --all --wd=/ -- sh -c "$*"
"""


class Hosts:
    """`count` hosts, named host1, host2 ...; a context manager.

    Args:
        count: How many.
        shared_memory: The size of each one's /dev/shm, as mount takes it.
    """

    def __init__(self, count: int, shared_memory: str = "1g") -> None:
        self.names = [f"host{number}" for number in range(1, count + 1)]
        self._shared_memory = shared_memory
        self._processes: dict[str, tuple[subprocess.Popen, int]] = {}

    def __enter__(self) -> Hosts:
        self.folder = Path(tempfile.mkdtemp(prefix="distkeras-hosts-"))
        self._agent = self.folder / "agent"
        self._agent.write_text(AGENT.format(folder=self.folder))
        self._agent.chmod(0o755)
        table = [f"{NETWORK}.{number} {name}" for number, name in enumerate(self.names, 1)]
        for name in self.names:
            (self.folder / f"boot-{name}").write_text(f"{uuid.uuid4()}\n")
        (self.folder / "etc-hosts").write_text("\n".join(["127.0.0.1 localhost", *table]) + "\n")
        try:
            self._start("switch", ["--net"], "ip link add bridge type bridge", "ip link set bridge up")
            for number, name in enumerate(self.names, 1):
                self._start_host(number, name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_host(self, number: int, name: str) -> None:
        self._start(
            name,
            ["--net", "--uts", "--ipc", "--mount"],
            f"hostname {name}",
            f"mount --bind {self.folder}/etc-hosts /etc/hosts",
            f"mount --bind {self.folder}/boot-{name} /proc/sys/kernel/random/boot_id",
            f"mkdir -p {LOCAL} && mount -t tmpfs -o size=1g local {LOCAL}",
            f"mount -t tmpfs -o size={self._shared_memory} shm /dev/shm",
            "ip link set lo up",
        )
        _, process = self._processes[name]
        self._on_switch(f"ip link add card{number} type veth peer name eth0 netns {process}")
        self._on_switch(f"ip link set card{number} master bridge up")
        self.enter(name, f"ip addr add {NETWORK}.{number}/24 dev eth0", "ip link set eth0 up")

    def _start(self, name: str, spaces: list[str], *commands: str) -> None:
        """Start the process that holds the namespaces, after commands in them."""
        script = "\n".join(["set -e", *commands, "echo up", "exec sleep infinity"])
        command = ["unshare", "--fork", "--kill-child", *spaces, "sh", "-c", script]
        with open(self.folder / f"{name}.log", "w") as log:
            starter = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        said = starter.stdout.readline()
        starter.stdout.close()
        if said != "up\n":
            starter.kill()
            raise RuntimeError(f"{name} could not be started: {(self.folder / f'{name}.log').read_text()}")
        process = int(Path(f"/proc/{starter.pid}/task/{starter.pid}/children").read_text())
        self._processes[name] = starter, process
        (self.folder / name).write_text(str(process))

    def _on_switch(self, command: str) -> None:
        place = ["nsenter", "--target", str(self._processes["switch"][1]), "--net"]
        subprocess.run([*place, *command.split()], check=True, timeout=30)

    # --- what happens to hosts

    def enter(self, name: str, *commands: str) -> None:
        """Run shell commands on a host."""
        for command in commands:
            subprocess.run([*self._inside(name, os.getcwd()), "sh", "-c", command], check=True, timeout=30)

    def kill(self, name: str) -> None:
        """End a host with all its processes."""
        starter, process = self._processes.pop(name)
        place = _network_of(process)
        while place and (found := _processes_in(place)):
            for each in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            time.sleep(0.01)
        starter.wait(20)
        (self.folder / name).unlink()

    def cut(self, name: str) -> None:
        """Take the host's card from the network."""
        self.enter(name, "ip link set eth0 down")

    def mend(self, name: str) -> None:
        """Undo `cut`."""
        self.enter(name, "ip link set eth0 up")

    def shape(self, rate: str) -> None:
        """Limit what each host sends: "100mbit"."""
        for name in self.names:
            self.enter(name, f"tc qdisc replace dev eth0 root tbf rate {rate} burst 64kb latency 400ms")

    def unshape(self) -> None:
        """Undo `shape`."""
        for name in self.names:
            self.enter(name, "tc qdisc del dev eth0 root")

    def _inside(self, name: str, folder: object) -> list[str]:
        return ["nsenter", "--target", str(self._processes[name][1]), "--all", f"--wd={folder}", "--"]

    # --- programs

    def start(self, folder: Path, *arguments: object, variables: dict[str, str] | None = None) -> Running:
        """`distkeras ARGUMENTS` on the first host, in a folder, with variables that all ranks get.

        Output goes to files: a rank that outlives mpirun would keep a pipe open.
        """
        network = f"--prtemca plm_ssh_agent {self._agent} --prtemca prte_if_include {NETWORK}.0/24"
        given = {
            **without_launcher(),
            "PYTHONPATH": str(PROJECT),
            "OMP_NUM_THREADS": "1",
            "PRTE_MCA_prte_remote_tmpdir_base": str(self.folder),  # where no earlier run has left anything
            # Hosts share this machine's cores, and have no fabrics.
            "OMPI_MCA_btl": "self,sm,tcp",
            "OMPI_MCA_mtl": "^ofi",
            "OMPI_MCA_mpi_yield_when_idle": "1",
            **(variables or {}),
        }
        exported = " ".join(f"-x {name}" for name in variables or {})
        given["DISTKERAS_MPIRUN_ARGS"] = f"{network} --mca btl_tcp_if_include {NETWORK}.0/24 {exported}"
        command = [*self._inside(self.names[0], folder), sys.executable, "-m", "distkeras", *map(str, arguments)]
        return Running(command, folder, given)


def _network_of(process: int) -> str:
    """The network namespace of a process, nothing for one that is gone."""
    try:
        return os.readlink(f"/proc/{process}/ns/net")
    except OSError:
        return ""


def _processes_in(network: str) -> list[int]:
    return [
        process for process in map(int, filter(str.isdigit, os.listdir("/proc"))) if _network_of(process) == network
    ]


class Running:
    """A program that runs, with its output in a file."""

    def __init__(self, command: list[str], folder: Path, variables: dict[str, str]) -> None:
        self._path = folder / f"output-{time.monotonic_ns()}.txt"
        with open(self._path, "w") as file:
            self.process = subprocess.Popen(
                command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )

    def output(self) -> str:
        return self._path.read_text()

    def wait_for(self, text: str, seconds: float = 120) -> Running:
        deadline = time.monotonic() + seconds
        while text not in self.output():
            assert self.process.poll() is None and time.monotonic() < deadline, self.output()
            time.sleep(0.02)
        return self

    def ends(self, seconds: float = 200) -> int:
        """The exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"no end after {seconds} s\n{self.output()}") from None

    def check(self) -> str:
        """The output, once the program has ended well."""
        code = self.ends()
        assert code == 0, f"exit code {code}\n{self.output()}"
        return self.output()
