"""Signs zones with BIND's tools."""

import subprocess

WAYS = {"nsec": [], "nsec3": ["-3", "abcd", "-H", "2"],
        "nsec3-optout": ["-3", "-", "-H", "0", "-A"]}


def sign(folder, zones, way):
    """apex -> text in, apex -> signed text out."""
    folder.mkdir(parents=True)
    return {apex: _sign(folder, apex, text, WAYS[way])
            for apex, text in zones.items()}


def _sign(folder, apex, text, options):
    plain, signed = folder / "zone", folder / "signed"
    plain.write_text(text)
    for flags in ([], ["-f", "KSK"]):
        _run(folder, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", *flags,
             "-n", "ZONE", apex)
    _run(folder, "dnssec-signzone", "-q", "-P", "-S", "-K", ".", "-O", "full",
         "-e", "20370101000000", "-o", apex, "-f", signed, *options, plain)
    for key in folder.glob("K*"):
        key.unlink()
    return signed.read_text()


def _run(folder, *command):
    done = subprocess.run([str(c) for c in command], cwd=folder,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr}{done.stdout}")
