"""Signals: the first asks, the second SIGINT ends at once."""

import os
import signal
import subprocess
import sys
import time

from shoal.run.signals import stopping


def wait_for(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_the_first_signal_only_asks():
    told = []
    before = signal.getsignal(signal.SIGTERM)
    with stopping(told.append) as stop:
        assert not stop.asked()
        os.kill(os.getpid(), signal.SIGTERM)
        assert wait_for(stop.asked)
        assert stop.signal == signal.SIGTERM
    assert "SIGTERM: finishing this epoch" in told[0]
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_second_sigint_ends_a_process_at_once():
    code = """
import time
from shoal.run.signals import stopping
with stopping(lambda text: print(text, flush=True)):
    print("ready", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert "finishing this epoch" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert "stopped at once" in process.stdout.read()
