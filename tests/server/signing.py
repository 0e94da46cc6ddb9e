"""Signs zones with BIND's tools."""

import subprocess

WAYS = {"nsec": [], "nsec3": ["-3", "abcd", "-H", "2"],
        "nsec3-plain": ["-3", "-", "-H", "0"],
        "nsec3-optout": ["-3", "-", "-H", "0", "-A"]}


def sign(folder, zones, way):
    """apex -> text in, apex -> signed text out."""
    folder.mkdir(parents=True)
    return {apex: _sign(folder, apex, text, WAYS[way])
            for apex, text in zones.items()}


def two_chains(folder, apex, text, options):
    """The zone signed twice by the same keys, options[0] and options[1] being
    those of dnssec-signzone: the zone of the first, and the same with the
    NSEC3 records of the second beside its own."""
    folder.mkdir(parents=True)
    _make_keys(folder, apex)
    one, other = (_run_signer(folder, apex, text, o) for o in options)
    return one, one + "".join(
        line + "\n" for line in other.splitlines()
        if _is_nsec3(line))


def _is_nsec3(line):
    words = line.split()[3:5]
    return words[:1] == ["NSEC3"] or words == ["RRSIG", "NSEC3"]


def _sign(folder, apex, text, options):
    _make_keys(folder, apex)
    signed = _run_signer(folder, apex, text, options)
    for key in folder.glob("K*"):
        key.unlink()
    return signed


def _make_keys(folder, apex):
    for flags in ([], ["-f", "KSK"]):
        _run(folder, "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", *flags,
             "-n", "ZONE", apex)


def _run_signer(folder, apex, text, options):
    plain, signed = folder / "zone", folder / "signed"
    plain.write_text(text)
    _run(folder, "dnssec-signzone", "-q", "-P", "-S", "-K", ".", "-O", "full",
         "-e", "20370101000000", "-o", apex, "-f", signed, *options, plain)
    return signed.read_text()


def _run(folder, *command):
    done = subprocess.run([str(c) for c in command], cwd=folder,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr}{done.stdout}")
