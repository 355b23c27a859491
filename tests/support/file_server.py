"""A local web server for tests of downloads, which can break connections and ignore Range requests."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """Serves ``files`` by path without the leading slash, and records the requests."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    tear: int | None = None
    """Bytes of the next answer after which the connection is closed."""
    gives_parts: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request."""

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"


@contextmanager
def serving():
    """Yield a server that listens during the block."""
    server = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path, wanted = self.path.lstrip("/"), self.headers["Range"]
            server.asked.append((path, wanted))
            content, status, start = server.files.get(path), 200, 0
            if content is None:
                return self.send_error(404)
            if wanted and server.gives_parts:
                start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
                if start >= len(content):
                    return self.send_error(416)
            body = content[start:]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: server.tear])
            server.tear = None
            return None

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.address = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
