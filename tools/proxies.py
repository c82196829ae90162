"""Try the proxy samples of docs/operating.md as they stand there, with the nginx and the Caddy of this machine.

    python tools/proxies.py

Each gets a certificate for localhost and other ports, and nothing else is changed. What is tried: the largest frame and
one that is larger, a WebSocket that is silent and then pushed to, the address a phone comes from, and that nobody sees
the metrics. A proxy that is not installed is told, and not tried.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "relay")]

import httpx  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402
from devices import Keys  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402

from eigenkring import wire  # noqa: E402
from live_relay import LiveRelay, live_relay  # noqa: E402

OPERATING = ROOT / "docs" / "operating.md"
SILENT_SECONDS = 70  # nginx ends a silent connection after 60 where nobody says otherwise


def sample(first_word: str) -> str:
    blocks = re.findall(r"^```\n(.*?)^```", OPERATING.read_text(), re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if block.startswith(first_word))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    at, key_at = folder / "certificate.pem", folder / "key.pem"
    at.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_at.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return at, key_at


@contextmanager
def nginx(relay: LiveRelay, port: int, folder: Path) -> Iterator[None]:
    at, key_at = certificate(folder)
    text = sample("map $http_upgrade")
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;").replace("kring.example;", "localhost;")
    text = text.replace("http://127.0.0.1:8300", relay.url)
    text = re.sub(r"(ssl_certificate\s+)\S+;", rf"\g<1>{at};", text)
    text = re.sub(r"(ssl_certificate_key\s+)\S+;", rf"\g<1>{key_at};", text)
    (folder / "nginx.conf").write_text(
        f"daemon off; user root; pid {folder}/pid; error_log {folder}/errors;\n"
        f"events {{}}\nhttp {{\nclient_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n{text}}}\n"
    )
    with running(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], port, folder):
        yield


@contextmanager
def caddy(relay: LiveRelay, port: int, folder: Path) -> Iterator[None]:
    at, key_at = certificate(folder)
    text = sample("kring.example {")
    text = text.replace("kring.example {", f"https://localhost:{port} {{\n    tls {at} {key_at}")
    text = text.replace("127.0.0.1:8300", relay.url.removeprefix("http://"))
    (folder / "Caddyfile").write_text(f"{{\n    admin off\n    auto_https disable_redirects\n}}\n{text}")
    with running(["caddy", "run", "--config", str(folder / "Caddyfile")], port, folder):
        yield


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    environment = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "told").open("wb") as told:
        process = subprocess.Popen(command, stdout=told, stderr=told, env=environment)
        try:
            for _ in range(200):
                with socket.socket() as trial:
                    if trial.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if process.poll() is not None:
                    raise SystemExit((folder / "told").read_text())
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def tried(relay: LiveRelay, port: int, folder: Path) -> None:
    url = f"https://localhost:{port}"
    trust = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    keys = Keys()
    with httpx.Client(verify=trust, trust_env=False, timeout=60, base_url=url) as client:

        def asked(*ops: wire.Operation) -> httpx.Response:
            body = wire.encode(wire.Request(1, list(ops)))
            return client.post("/v1/exchange", content=body, headers={"content-type": wire.CONTENT_TYPE})

        assert client.get("/v1/health").json()["ok"]
        assert asked(keys.opening()).status_code == 200
        records = [os.urandom(1_000_000) for _ in range(8)]
        large = asked(*map(keys.appending, records))
        assert large.status_code == 200, f"a frame of {sum(map(len, records)):,} bytes: HTTP {large.status_code}"
        assert len(asked(keys.reading()).content) > 7_000_000
        # Just over the relay's own limit: a relay that refused it, and hung up halfway, would now and then be a 502.
        for _ in range(20):
            over = client.post("/v1/exchange", content=bytes(8_600_000), headers={"content-type": wire.CONTENT_TYPE})
            assert over.status_code == 413, f"a frame of 8,600,000 bytes: HTTP {over.status_code}"
        assert client.get("/metrics").status_code == 404
    assert httpx.get(f"{relay.url}/metrics", trust_env=False).status_code == 200
    asyncio.run(followed(url, trust, keys))


async def followed(url: str, trust: ssl.SSLContext, keys: Keys) -> None:
    address = f"{url.replace('https', 'wss')}/v1/sync"
    async with connect(address, ssl=trust, compression=None, max_size=None, proxy=None) as phone:
        await phone.send(wire.encode(wire.Request(1, [keys.following(after=8)])))
        await phone.recv()
        await asyncio.sleep(SILENT_SECONDS)
        async with connect(address, ssl=trust, compression=None, max_size=None, proxy=None) as other:
            await other.send(wire.encode(wire.Request(1, [keys.appending(b"pushed")])))
            await other.recv()
        pushed = wire.decode_from_relay(await asyncio.wait_for(phone.recv(), 10))  # type: ignore[arg-type]
        assert isinstance(pushed, wire.PushedRecord)


def counted_apart(relay: LiveRelay, port: int, folder: Path) -> None:
    """Two phones behind the proxy are two addresses: the limit of the one is not that of the other."""
    trust = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    for address, codes in (("127.0.0.5", {200, 429}), ("127.0.0.6", {200})):
        transport = httpx.HTTPTransport(verify=trust, local_address=address)
        with httpx.Client(transport=transport, base_url=f"https://localhost:{port}", timeout=60) as client:
            body = wire.encode(wire.Request(1, []))
            lie = {"content-type": wire.CONTENT_TYPE, "x-forwarded-for": "203.0.113.7"}
            count = 60 if address == "127.0.0.5" else 1
            found = {client.post("/v1/exchange", content=body, headers=lie).status_code for _ in range(count)}
            assert found == codes, f"{address}: {found}"


def main() -> None:
    for name, proxy in (("nginx", nginx), ("caddy", caddy)):
        if shutil.which(name) is None:
            print(f"{name}: not installed here, not tried")
            continue
        with tempfile.TemporaryDirectory() as folder:
            more = ["--trusted-proxy", "127.0.0.1", "--metrics"]
            port = free_port()
            with live_relay(Path(folder) / "data", more=more) as relay, proxy(relay, port, Path(folder)):
                tried(relay, port, Path(folder))
            limits = {"frames_per_second": 1, "frames_burst": 30}
            port = free_port()
            with live_relay(Path(folder) / "data", more=more, limits=limits) as relay, proxy(relay, port, Path(folder)):
                counted_apart(relay, port, Path(folder))
        told = subprocess.run([name, "version" if name == "caddy" else "-v"], capture_output=True, text=True)
        print(f"{name}: as in docs/operating.md, tried with {(told.stdout + told.stderr).strip()}")


if __name__ == "__main__":
    main()
