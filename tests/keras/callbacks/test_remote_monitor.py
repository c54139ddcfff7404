"""Epoch logs as a server receives them."""

import http.server
import json
import threading
import urllib.parse

import numpy as np
import pytest

from distkeras.keras.callbacks import RemoteMonitor
from tests.keras.callbacks.fakes import Model, Strategy, run_epochs

LOGS = [{"loss": np.float32(0.5)}, {"loss": 0.25}]


@pytest.fixture
def server():
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append((self.path, self.headers["Content-Type"], self.headers["X-Run"], body))
            self.send_response(500 if "broken" in self.path else 200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", received
        running.shutdown()
        thread.join()


def test_a_form_by_default(server):
    root, received = server
    run_epochs(RemoteMonitor(root), LOGS)
    path, kind, _, body = received[1]
    assert path == "/publish/epoch/end/" and kind == "application/x-www-form-urlencoded"
    (text,) = urllib.parse.parse_qs(body)["data"]
    assert json.loads(text) == {"epoch": 1, "loss": 0.25}


def test_json(server):
    root, received = server
    run_epochs(RemoteMonitor(root, "/broken", headers={"X-Run": "7"}, send_as_json=True), LOGS)
    assert [json.loads(body) for *_, body in received] == [{"epoch": 0, "loss": 0.5}, {"epoch": 1, "loss": 0.25}]
    assert received[0][:3] == ("/broken", "application/json", "7")


def test_training_goes_on_without_the_server():
    with pytest.warns(UserWarning, match="Could not reach RemoteMonitor root server at http://127.0.0.1:9"):
        assert len(run_epochs(RemoteMonitor("http://127.0.0.1:9"), LOGS)) == 2


def test_rank_zero_alone_sends(server):
    root, received = server
    run_epochs(RemoteMonitor(root), LOGS, Model(Strategy(rank=1)))
    assert received == []
