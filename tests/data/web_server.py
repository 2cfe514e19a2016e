"""A web server on this machine that does what servers do, and what goes wrong with them."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

ETAG = '"one"'


class Server:
    """Serves one content under any path; the path says how.

    /whole gives it, /range from where it is asked for, /cut breaks off after half of what is left,
    /always-cut after half of the whole, /empty after nothing; /moved redirects to /whole, /broken
    is a server error, /unsized gives no length and /wordy one that is no number; /exhausted
    breaks off after half and then has nothing from there on. Others are not found.

    Attributes:
        url: Where it is, without the path.
        asked: The Range header of each request, in order; None where there was none.
    """

    def __init__(self, content: bytes) -> None:
        self.asked: list[str | None] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                del arguments

            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                server.asked.append(wanted)
                if self.path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", "/whole")
                    self.end_headers()
                    return
                if self.path == "/broken":
                    self.send_error(503)
                    return
                if self.path == "/exhausted" and wanted:
                    self.send_error(416)
                    return
                start, cut = 0, len(content)
                if self.path in ("/range", "/cut") and wanted:
                    assert self.headers["If-Range"] == ETAG
                    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if self.path == "/cut":
                    cut = start + (len(content) - start + 1) // 2
                elif self.path in ("/always-cut", "/exhausted"):
                    cut = len(content) // 2
                elif self.path == "/empty":
                    cut = 0
                elif self.path not in ("/whole", "/range", "/unsized", "/wordy"):
                    self.send_error(404)
                    return
                self.send_response(206 if start else 200)
                if self.path == "/wordy":
                    self.send_header("Content-Length", "all of it")
                elif self.path != "/unsized":
                    self.send_header("Content-Length", str(len(content) - start))
                self.send_header("ETag", ETAG)
                if start:
                    last = len(content) - 1
                    self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
                self.end_headers()
                self.wfile.write(content[start:cut])

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def run(self) -> None:
        """Serves until it is stopped."""
        self._server.serve_forever(poll_interval=0.01)

    def stop(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """A server of a content while the block runs."""
    server = Server(content)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
