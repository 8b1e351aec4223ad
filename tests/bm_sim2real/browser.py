"""A headless Chromium, driven through its own DevTools protocol: open a page, ask it things, take a picture."""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser():
    """Path of a Chromium, or None. BM_BROWSER: a path, or auto to look for one.

    Asked for, not found by itself: the CPU draws the picture, minutes on a loaded machine, and no deadline may decide
    a test of `make test`.
    """
    asked = os.environ.get("BM_BROWSER")
    return next(filter(None, map(shutil.which, NAMES)), None) if asked == "auto" else asked


class Browser:
    """One page of `size` pixels; WebGL is drawn by the CPU."""

    def __init__(self, profile, size=(640, 420)):
        from websockets.sync.client import connect

        command = [
            find_browser(), "--headless=new", "--no-sandbox", "--disable-gpu-sandbox", "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0",
            f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = self._until((profile / "DevToolsActivePort").exists, lambda: self._port(profile))
        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=60))
        page = next(page for page in pages if page["type"] == "page")
        self._socket = connect(page["webSocketDebuggerUrl"], max_size=None, open_timeout=60)
        self._count = 0

    def open(self, url):
        self._send("Page.navigate", url=url)

    def ask(self, expression):
        """Value of a JavaScript expression."""
        answer = self._send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    def wait(self, expression, seconds=120.0):
        """Until the expression is true; AssertionError with the page's text if it does not become so."""
        end = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < end, f"never: {expression}; the page says: {self.ask('document.body.innerText')}"
            time.sleep(0.2)

    def picture(self):
        """PNG."""
        return base64.b64decode(self._send("Page.captureScreenshot", format="png")["data"])

    def close(self):
        self._socket.close()
        self._process.terminate()
        self._process.wait(30)

    def _send(self, method, **parameters):
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:  # events come in between
            answer = json.loads(self._socket.recv(timeout=300))
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def _until(self, condition, then):
        end = time.monotonic() + 60.0
        while not condition():
            assert self._process.poll() is None and time.monotonic() < end, "the browser does not start"
            time.sleep(0.1)
        time.sleep(0.2)
        return then()

    def _port(self, profile):
        return int((profile / "DevToolsActivePort").read_text().split()[0])
