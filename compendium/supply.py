"""The pinned packages: what they are (a bill of materials), and what is known against them (pip-audit)."""

import hashlib
import json
import re
import subprocess
import sys
import venv
from pathlib import Path

import slamlib

LOCK = Path("requirements.lock")
BILL = Path("build/sbom.cdx.json")
# pip-audit has an environment of its own: what it needs shall not be among what it judges.
TOOL = Path("build/audit")


def bill_of_materials(lock):
    """Return the packages of `requirements.lock` as a CycloneDX document, a dict for JSON.

    Their hashes stand in the lock; its own stands in here.
    """
    pinned = re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==([^ ;\\]+)", lock, re.MULTILINE)
    digest = {"name": "requirements.lock:sha256", "value": hashlib.sha256(lock.encode()).hexdigest()}
    root = {"type": "application", "name": "slamlib", "version": slamlib.__version__}
    components = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in pinned
    ]
    about = {"component": root, "properties": [digest]}
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}
    return head | {"metadata": about, "components": components}


def audit(lock=LOCK, tool=TOOL):
    """Ask an index of advisories about the pinned packages; return lines to print, and an exit status.

    Where no index can be reached, that is said, and the status is 2: nothing was checked.
    """
    python = tool / "bin/python"
    if not python.exists():
        venv.create(tool, with_pip=True)
    installed = _run(python, "pip", "install", "--quiet", "--disable-pip-version-check", "pip-audit")
    if installed.returncode:
        return [f"pip-audit cannot be installed; nothing was checked: {_last(installed.stderr)}"], 2
    options = ("--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off")
    done = _run(python, "pip_audit", *options, "--requirement", str(lock))
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return [f"no index of advisories answers; nothing was checked: {_last(done.stderr)}"], 2
    unknown = [package for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        why = unknown[0]["skip_reason"] if unknown else "it knows no package"
        return [f"no index of advisories answers; nothing was checked: {why}"], 2
    known = [(package, fault) for package in packages for fault in package.get("vulns", [])]
    lines = [
        f"{package['name']} {package['version']}: {fault['id']}, mended in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}"
        for package, fault in known
    ]
    lines += [f"{package['name']} was not checked: {package['skip_reason']}" for package in unknown]
    checked = len(packages) - len(unknown)
    return [*lines, f"{checked} packages checked, {len(known)} known faults"], bool(known)


def _run(python, module, *arguments):
    return subprocess.run([python, "-m", module, *arguments], capture_output=True, text=True)


def _last(text):
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def main(what):
    """Do what `make audit` and `make sbom` ask for; return the exit status."""
    if what == "audit":
        lines, status = audit()
        print(*lines, sep="\n")
        return int(status)
    BILL.parent.mkdir(exist_ok=True)
    BILL.write_text(json.dumps(bill_of_materials(LOCK.read_text(encoding="utf-8")), indent=1) + "\n")
    print(BILL)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
