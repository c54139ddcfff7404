"""Requests to stop: which signals and times make one, and that others' handlers are left alone."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from distkeras import _settings
from distkeras.distribute.preemption import SIGNALS, Preemption, deadline


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_request_while_it_is_listened_to(number):
    with Preemption().listening() as request:
        assert not request.is_asked
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGUSR1)  # what is asked twice is asked
        assert request.is_asked and request.reason == number.name
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_program_that_handles_a_signal_keeps_it():
    heard = []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        with Preemption().listening() as request:
            os.kill(os.getpid(), signal.SIGUSR1)
        assert heard == [signal.SIGUSR1] and not request.is_asked
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_other_threads_hear_of_no_signals_but_of_the_time():
    answers = []

    def ask():
        with Preemption(time.time() - 1).listening() as request:
            answers.append((request.is_asked, signal.getsignal(signal.SIGUSR1)))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert answers == [(True, signal.SIG_DFL)]


@pytest.mark.fault("SIGTERM twice")
def test_the_second_sigterm_ends_the_program():
    program = (
        "import os, signal, time\nfrom distkeras.distribute.preemption import Preemption\n"
        "with Preemption().listening():\n"
        "    os.kill(os.getpid(), signal.SIGTERM); print('alive', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM); time.sleep(10)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert result.stdout == "alive\n" and result.returncode == -signal.SIGTERM


def test_the_time_is_up_at_the_first_limit():
    now = time.time()
    settings = _settings.resolve({"time_limit": "1:00:00", "time_margin": "2:00"}, {})
    assert now + 3000 < deadline(settings, {}) <= now + 3600
    assert deadline(settings, {"SLURM_JOB_END_TIME": str(int(now) + 600)}) == int(now) + 480
    assert deadline(_settings.resolve({}, {}), {}) is None
    assert not Preemption(now + 60).is_asked and Preemption(now - 1).reason is None
    request = Preemption(now - 1)
    assert request.is_asked and request.reason == "the time limit"
