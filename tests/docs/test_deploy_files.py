"""The files by which a session is run as a service: sound, without rights, without secrets.

What needs a running systemd or Docker is listed in docs/how-to/run-it-as-a-service.md.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from docs_kit import ROOT, parse

from ftbt.cli.main import COMMANDS
from ftbt.live.health import HealthConfig, HealthServer
from ftbt.live.status import Status

DEPLOY = ROOT / "docs" / "deploy"
UNIT = DEPLOY / "ftbt@.service"
COMPOSE = DEPLOY / "docker-compose.yml"
DOCKERFILE = DEPLOY / "Dockerfile"
SECRET = re.compile(r"[0-9a-fA-F]{64}|(PASSWORD|TOKEN|SECRET|AGENT_KEY|ALERTS)\s*=\s*\S", re.ASCII)


def unit():
    """Return the settings of the unit, by name: a list of values each."""
    found = {}
    for line in UNIT.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def settings():
    """Return the variables of the file beside the unit."""
    lines = (DEPLOY / "ftbt.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def service():
    """Return the service of the compose file."""
    return yaml.safe_load(COMPOSE.read_text())["services"]["ftbt"]


def instructions():
    """Return the instructions of the Dockerfile: word and rest, lines joined."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in lines]


# --- systemd -------------------------------------------------------------------------------------

SYSTEMD = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze to read the unit"
)


def _installed(folder):
    """Return a copy of the unit whose program exists on this machine."""
    copy = folder / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/ftbt/bin/ftbt", "/bin/true"))
    return copy


@SYSTEMD
def test_systemd_reads_the_unit(tmp_path):
    """`systemd-analyze verify` has nothing to say, and does find a misspelt setting."""
    words = ["systemd-analyze", "verify", str(_installed(tmp_path))]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    bad = tmp_path / "bad@.service"
    bad.write_text(UNIT.read_text().replace("ProtectHome=", "ProtectHomme="))
    words[-1] = str(bad)
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert "ProtectHomme" in done.stderr


@SYSTEMD
def test_systemd_rates_the_unit_as_the_page_says(tmp_path):
    """The exposure is at most the 1.5 of 10 that the page tells."""
    page = (ROOT / "docs" / "how-to" / "run-it-as-a-service.md").read_text()
    told = float(re.search(r"rates it ([\d.]+) of 10", page)[1])
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={told * 10:.0f}",
         "--no-pager", str(_installed(tmp_path))],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot rate a unit that is not installed")
    assert done.returncode == 0, done.stdout[-300:]


def test_the_unit_restarts_watches_and_has_no_rights():
    """It restarts on failure for ever, is watched, runs without root on a read-only system."""
    found = unit()
    expected = {
        "Type": "notify", "User": "ftbt", "Restart": "on-failure", "StartLimitIntervalSec": "0",
        "ProtectSystem": "strict", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "",
        "LimitCORE": "0", "StateDirectory": "ftbt", "CacheDirectory": "ftbt", "UMask": "0077",
    }  # fmt: skip
    assert {name: found[name][-1] for name in expected} == expected
    assert "WatchdogSec" in found
    # Compiled code is written into memory and run from there.
    assert "MemoryDenyWriteExecute" not in found
    # A clean stop is given more time than a session takes at most: flattening, then telling.
    assert found["TimeoutStopSec"] == ["2min"]


def test_what_the_unit_needs_is_in_its_settings():
    """Every variable of the command is set in the file beside it, and no secret is."""
    used = set(re.findall(r"\$\{?(FTBT_\w+)", unit()["ExecStart"][0]))
    assert used <= set(settings())
    text = (DEPLOY / "ftbt.env").read_text() + UNIT.read_text()
    assert not SECRET.search(
        text.replace("FTBT_ALERTS_FILE", "").replace("FTBT_AGENT_KEY_FILE", "")
    )


@pytest.mark.skipif(
    "live" not in COMMANDS, reason="the command that the services call is not there"
)
def test_the_program_takes_the_commands_of_the_services():
    """Unit and compose file call `ftbt live` with options that it has."""
    line = unit()["ExecStart"][0]
    for name, value in settings().items():
        line = line.replace(f"${{{name}}}", value).replace(f"${name}", value)
    words = shlex.split(line.replace("%i", "sweep"))
    for typed in (["ftbt", *words[1:]], ["ftbt", *service()["command"]]):
        assert parse(typed).params["health_port"] == 8502


# --- Docker --------------------------------------------------------------------------------------


def test_the_container_has_no_rights_and_is_started_again():
    """Not root, a read-only root, no capabilities, no core files, a restart policy."""
    found = service()
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", found["user"])
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["ulimits"] == {"core": 0}
    assert found["restart"] == "unless-stopped"
    assert not {"privileged", "ports", "network_mode", "cap_add"} & set(found)
    assert all(volume.partition(":")[2] for volume in found["volumes"])


def test_the_container_s_secrets_are_files():
    """Each secret is a file of its own, read by path; none stands in the environment."""
    found, whole = service(), yaml.safe_load(COMPOSE.read_text())
    assert set(found["secrets"]) == set(whole["secrets"])
    assert all(set(one) == {"file"} for one in whole["secrets"].values())
    for name, value in found["environment"].items():
        assert name.endswith("_FILE") == value.startswith("/run/secrets/"), name
    assert set(whole["volumes"]) == {"state", "cache"}


def test_the_dockerfile_ends_without_root_and_holds_no_secret():
    """The last user has a number above zero; nothing secret is set, copied or downloaded."""
    found = instructions()
    words = [word for word, _ in found]
    assert [rest for word, rest in found if word == "USER"][-1] == service()["user"]
    assert words.index("USER") > max(n for n, word in enumerate(words) if word == "RUN")
    assert not {"ADD", "ARG"} & set(words)
    for word, rest in found:
        assert not SECRET.search(rest), rest
        if word == "FROM":
            assert re.search(r":\d+\.\d+", rest), "an image is named with its version"
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    copied = {s for w, r in found if w == "COPY" and "--from" not in r for s in r.split()[:-1]}
    assert copied == {line[1:] for line in ignored if line.startswith("!")}


def test_image_and_service_install_what_was_locked():
    """Neither takes a package whose hash nobody has looked at."""
    locked = "pip install --no-cache-dir --require-hashes -r requirements.lock"
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert dockerfile.index(locked) < dockerfile.index("--no-deps .")
    page = (ROOT / "docs" / "how-to" / "run-it-as-a-service.md").read_text(encoding="utf-8")
    assert "pip install --require-hashes -r docs/deploy/requirements.lock" in page
    assert "/opt/ftbt/bin/pip install .\n" not in page + dockerfile


def test_image_and_unit_use_what_the_program_reads():
    """Folders that are written to are given by the variables that the code asks for."""
    environment = " ".join(rest for word, rest in instructions() if word == "ENV")
    code = "".join(
        (ROOT / "ftbt" / name).read_text()
        for name in ("compiled.py", "hyperliquid/nonces.py", "strategy/loader.py")
    )
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "FTBT_STRATEGIES"):
        assert name in code
        assert name in environment
        assert name in UNIT.read_text() + (DEPLOY / "ftbt.env").read_text()


def test_the_health_command_of_the_container_tells_alive_from_dead():
    """The very command of the compose file ends with 0 while the loop lives, else not."""
    test = service()["healthcheck"]["test"]
    assert test[:3] == ["CMD", "python", "-c"]
    server = HealthServer(HealthConfig(0))
    script = test[3].replace(":8502", f":{server.port}")
    assert script != test[3]

    def ended():
        words = [sys.executable, "-c", script]
        return subprocess.run(words, check=False, capture_output=True).returncode

    assert ended() == 0
    over = Status(*[None] * 23)
    server.show(replace(over, over=True))
    assert ended() != 0
    server.close()
    assert ended() != 0
