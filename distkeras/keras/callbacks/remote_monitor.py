"""Epoch logs sent to a server."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Mapping

from distkeras.keras.callbacks.base import Callback, Logs
from distkeras.keras.saving.serialize import json_value

_SECONDS = 10


class RemoteMonitor(Callback):
    """Sends each epoch's logs to a server, with the number of the epoch under 'epoch'.

    A server that cannot be reached is warned of, and training goes on.

    Args:
        root: The server's address.
        path: Where on the server to post.
        field: The name of the form's field that holds the logs as JSON.
        headers: HTTP headers.
        send_as_json: Whether to post the logs themselves as JSON, rather than a form.

    >>> import distkeras as tf
    >>> callback = tf.keras.callbacks.RemoteMonitor("http://localhost:9000")
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("root", root), ("path", path), ("field", field)):
            if not isinstance(value, str):
                raise TypeError(f"RemoteMonitor: `{name}` must be a string, received {value!r}.")
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if not self._writes:
            return
        text = json.dumps({"epoch": epoch, **(logs or {})}, default=json_value)
        if self.send_as_json:
            body, kind = text, "application/json"
        else:
            body, kind = urllib.parse.urlencode({self.field: text}), "application/x-www-form-urlencoded"
        headers = {"Content-Type": kind, **(self.headers or {})}
        try:
            request = urllib.request.Request(self.root + self.path, body.encode(), headers)
            with urllib.request.urlopen(request, timeout=_SECONDS):
                pass
        except urllib.error.HTTPError as error:  # it was reached, and what it does with the logs is its affair
            error.close()
        except (OSError, ValueError) as error:
            warnings.warn(f"Could not reach RemoteMonitor root server at {self.root}: {error}", stacklevel=2)
