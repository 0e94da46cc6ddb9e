"""tools/resolua without a server."""

import os
import re
import shutil
import subprocess
import time

import pytest

from resolua_server import BUILD, ROOT, environment

SOA = "@ 60 SOA ns1 hostmaster 1 3600 600 86400 300\n"
ZONE = SOA + "@ 60 NS ns1\nns1 60 A 192.0.2.1\nwww 300 A 192.0.2.2\n"


@pytest.fixture
def resolua(tmp_path):
    """resolua("zone", "list") gives exit code, output, errors."""
    def run(*words):
        done = subprocess.run(
            [ROOT / "tools/resolua", "--data", tmp_path / "data", *words],
            capture_output=True, text=True, timeout=60,
            env={**environment(), "RESOLUA_BUILD": str(BUILD)})
        return done.returncode, done.stdout, done.stderr
    return run


@pytest.fixture
def zone(resolua, tmp_path):
    path = tmp_path / "example.test.zone"
    path.write_text(ZONE)
    code, _, errors = resolua("zone", "load", path)
    assert code == 0, errors
    return path


def test_load_list_show(resolua, zone):
    assert resolua("zone", "list") == (0, "example.test\t1\n", "")
    code, text, _ = resolua("zone", "show", "EXAMPLE.test.")
    assert code == 0
    assert text.startswith("example.test.\t60\tIN\tSOA\t")
    assert "www.example.test.\t300\tIN\tA\t192.0.2.2\n" in text


def test_signatures_are_shown_with_the_ttl_of_their_set(resolua, zone):
    signature = "13 3 {0} 20370101000000 20260101000000 1 @ YQ==\n"
    zone.write_text(ZONE + 'www 7200 TXT "x"\n' + "".join(
        f"www {ttl} RRSIG {kind} " + signature.format(ttl)
        for ttl, kind in ((7200, "TXT"), (300, "A"))))
    assert resolua("zone", "load", zone)[0] == 0
    text = resolua("zone", "show", "example.test")[1]
    assert "www.example.test.\t7200\tIN\tRRSIG\tTXT " in text
    assert "www.example.test.\t300\tIN\tRRSIG\tA " in text


def test_what_is_read_in_another_way_is_told(resolua, zone, tmp_path):
    zone.write_text("$TTL 4294967295\n" + ZONE.replace("300 A", "A")
                    + "x.other.test. 60 A 192.0.2.3\n"
                    + "y.www 60 A 192.0.2.4\n")
    code, _, errors = resolua("zone", "load", zone)
    assert code == 0
    assert errors.splitlines() == [
        f"{zone}:1: warning: the TTL 4294967295 is above 2147483647 and counts"
        " as 0",
        f"{zone}:6: warning: x.other.test. lies outside the zone, and its"
        " record is left out"]
    text = resolua("zone", "show", "example.test")[1]
    assert "www.example.test.\t0\tIN\tA\t192.0.2.2\n" in text
    assert "y.www.example.test.\t60\tIN\tA\t192.0.2.4\n" in text
    assert "other" not in text


def test_a_folder_to_include_from(resolua, zone, tmp_path):
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    own.mkdir()
    (shared / "soa").write_text(SOA + "@ 60 NS ns1\nns1 60 A 192.0.2.9\n")
    file = own / "example.test.zone"
    for name in (shared / "soa", "../shared/soa"):
        file.write_text(f"$INCLUDE {name}\n")
        code, _, errors = resolua("zone", "load", file)
        assert code == 1
        assert "one that is allowed" in errors
        code, _, errors = resolua("zone", "load", file, "--include", shared)
        assert (code, errors) == (0, "")
    assert "ns1.example.test.\t60\tIN\tA\t192.0.2.9\n" in resolua(
        "zone", "show", "example.test")[1]
    file.write_text("$INCLUDE /etc/hostname\n")
    assert resolua("zone", "check", file, "--include", shared)[0] == 1


def test_shown_zone_loads_again(resolua, zone, tmp_path):
    text = resolua("zone", "show", "example.test")[1]
    copy = tmp_path / "copy"
    copy.write_text(text)

    assert resolua("zone", "load", copy)[0] == 0
    assert resolua("zone", "show", "example.test")[1] == text
    assert resolua("zone", "list")[1] == "example.test\t1\n"


def test_error_names_file_and_line_and_changes_nothing(resolua, zone):
    before = resolua("zone", "show", "example.test")[1]
    lines = [f"h{i} 60 A 192.0.2.3" for i in range(1000)]
    lines[895] = "h895 60 A 192.0.2.300"
    zone.write_text(ZONE + "\n".join(lines) + "\n")

    code, _, errors = resolua("zone", "load", zone)

    assert code == 1
    assert errors.startswith(f"{zone}:900:")
    assert resolua("zone", "show", "example.test")[1] == before


def test_check_changes_nothing(resolua, zone):
    zone.write_text(ZONE + "new 60 A 192.0.2.9\n")

    assert resolua("zone", "check", zone)[0] == 0
    assert "new" not in resolua("zone", "show", "example.test")[1]

    zone.write_text(ZONE + "ns1 60 CNAME www\n")
    code, _, errors = resolua("zone", "check", zone)
    assert code == 1
    assert "CNAME" in errors


@pytest.mark.parametrize("text, reason", [
    ("@ 60 NS ns1\n", "SOA"),
    (SOA, "NS"),
    (ZONE + "www 60 CNAME ns1\n", "CNAME"),
    (ZONE + SOA.replace(" 1 ", " 2 "), "SOA"),
])
def test_zones_that_must_be_refused(resolua, tmp_path, text, reason):
    path = tmp_path / "example.test.zone"
    path.write_text(text)

    code, _, errors = resolua("zone", "load", path)

    assert code == 1
    assert reason in errors
    assert resolua("zone", "list")[1] == ""


def test_origin(resolua, tmp_path):
    path = tmp_path / "some file"
    path.write_text(ZONE)

    assert resolua("zone", "load", path, "--origin", "o.test")[0] == 0
    assert resolua("zone", "list")[1] == "o.test\t1\n"


def test_a_text_is_one_record_whole(resolua, zone):
    text = "v=DMARC1; p=reject; rua=mailto:a@example.test"
    assert resolua("record", "add", "example.test", "d", "TXT", text)[0] == 0
    assert resolua("record", "set", "example.test", "s", "TXT", "60",
                   text)[0] == 0
    shown = resolua("zone", "show", "example.test")[1]
    for owner in ("d", "s"):
        assert f'{owner}.example.test.\t' in shown
    assert shown.count(f'\tTXT\t"{text}"\n') == 2
    code, _, errors = resolua("record", "add", "example.test", "www", "A",
                              "192.0.2.7 ; old")
    assert code == 1 and '";" outside of quotes' in errors


def test_a_zone_signed_elsewhere_is_loaded_whole_and_not_edited(resolua, zone):
    zone.write_text(ZONE + "@ 60 RRSIG SOA 13 2 60 20400101000000"
                    " 20200101000000 1 @ AAAA\n")
    assert resolua("zone", "load", zone)[0] == 0
    for words in (["add", "example.test", "a", "A", "192.0.2.7"],
                  ["set", "example.test", "www", "A", "192.0.2.7"],
                  ["delete", "example.test", "www", "A"]):
        code, _, errors = resolua("record", *words)
        assert code == 1 and "the zone is signed" in errors
    assert resolua("zone", "list")[1] == "example.test\t1\n"
    zone.write_text(ZONE)
    assert resolua("zone", "load", zone)[0] == 0
    assert resolua("record", "delete", "example.test", "www", "A")[0] == 0


def test_records(resolua, zone):
    def run(*words):
        code, _, errors = resolua("record", *words)
        assert code == 0, errors
        return resolua("zone", "show", "example.test")[1]

    text = run("add", "example.test", "www", "A", "60", "192.0.2.5")
    assert "www.example.test.\t60\tIN\tA\t192.0.2.5\n" in text
    assert "www.example.test.\t60\tIN\tA\t192.0.2.2\n" in text
    text = run("add", "example.test", "@", "MX", "10", "mail")
    assert "example.test.\t3600\tIN\tMX\t10 mail.example.test.\n" in text
    text = run("set", "example.test", "@", "MX", "300", "20 a", "30 b")
    assert "300\tIN\tMX\t20 a.example.test.\n" in text
    assert "10 mail" not in text
    text = run("delete", "example.test", "www", "A", "192.0.2.2")
    assert "192.0.2.2" not in text and "192.0.2.5" in text
    text = run("delete", "example.test", "www", "A")
    assert "192.0.2.5" not in text
    assert resolua("zone", "list")[1] == "example.test\t6\n"


@pytest.mark.parametrize("words", [
    ("record", "add", "no.test", "www", "A", "192.0.2.1"),
    ("record", "add", "example.test", "www", "A", "192.0.2"),
    ("record", "add", "example.test", "www", "WHAT", "192.0.2.1"),
    ("record", "add", "example.test", "x.other.", "A", "192.0.2.1"),
    ("record", "add", "example.test", "www", "CNAME", "ns1"),
    ("record", "delete", "example.test", "nothing", "A"),
    ("record", "delete", "example.test", "@", "SOA"),
    ("record", "add", "example.test"),
    ("zone", "show", "no.test"),
    ("zone", "delete", "no.test"),
    ("zone", "load", "/no/such/file"),
    ("zone", "load"),
    ("zone", "fly"),
    ("--fly",),
])
def test_errors_are_one_line_and_code_1(resolua, zone, words):
    before = resolua("zone", "show", "example.test")[1]

    code, _, errors = resolua(*words)

    assert code == 1
    assert len(errors.splitlines()) == 1
    assert resolua("zone", "show", "example.test")[1] == before


def test_delete_zone(resolua, zone):
    assert resolua("zone", "delete", "example.test") == (0, "", "")
    assert resolua("zone", "list") == (0, "", "")


def test_many_zones_from_a_folder(resolua, tmp_path):
    folder = tmp_path / "zones"
    folder.mkdir()
    for i in range(200):
        (folder / f"z{i}.test.zone").write_text(ZONE)
    (folder / "bad.test.zone").write_text("nonsense\n")

    code, output, errors = resolua("zone", "load", folder)

    assert code == 1
    assert output == "200 zones loaded\n"
    assert errors.startswith(f"{folder}/bad.test.zone:1:")
    assert len(resolua("zone", "list")[1].splitlines()) == 200


def test_a_hundred_thousand_records_in_five_seconds(resolua, tmp_path):
    path = tmp_path / "big.test.zone"
    path.write_text(ZONE + "".join(
        f"h{i} 60 A 10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n"
        for i in range(100_000)))

    begin = time.monotonic()
    code, _, errors = resolua("zone", "load", path)
    seconds = time.monotonic() - begin

    assert code == 0, errors
    assert seconds < 5
    shown = resolua("zone", "show", "big.test")[1]
    assert len(shown.splitlines()) == 100_004


@pytest.mark.parametrize("command", [
    (), ("zone", "load"), ("zone", "list"), ("zone", "show"),
    ("zone", "delete"), ("zone", "check"), ("record", "add"),
    ("record", "set"), ("record", "delete"), ("query",)])
def test_help(resolua, command):
    code, output, errors = resolua(*command, "--help")

    assert (code, errors) == (0, "")
    assert output.startswith("usage: resolua ")
    assert " ".join(command) in output


def test_a_set_with_several_ttls_has_the_lowest(resolua, tmp_path):
    """RFC 2181 section 5.2; each such set is warned of, once."""
    (tmp_path / "more").write_text("a 70 A 192.0.2.4\n")
    path = tmp_path / "t.test.zone"
    path.write_text(
        SOA + "@ 60 NS ns1\nns1 60 A 192.0.2.1\na 60 A 192.0.2.2\n"
        "b 90 A 192.0.2.2\na 90 A 192.0.2.3\nb 60 A 192.0.2.3\n"
        "b 50 A 192.0.2.4\n$INCLUDE more\nb 90 AAAA ::1\n"
        "@ 60 RRSIG SOA 13 2 60 20400101000000 20200101000000 1 @ AAAA\n"
        "@ 30 RRSIG NS 13 2 30 20400101000000 20200101000000 1 @ AAAA\n")
    for command in (("zone", "check"), ("zone", "load")):
        code, _, errors = resolua(*command, path)
        assert code == 0
        assert errors.splitlines() == [
            f"{path}:6: warning: a.t.test. A has the TTLs 60 and 90: a record "
            "set has one, and the lowest is used",
            f"{path}:7: warning: b.t.test. A has the TTLs 60 and 90: a record "
            "set has one, and the lowest is used"]
    shown = resolua("zone", "show", "t.test")[1].splitlines()
    assert [line.split("\t")[1] for line in shown if "\tA\t" in line] \
        == ["60"] * 3 + ["50"] * 3 + ["60"]


def test_servers_without_an_address_are_warned_of(resolua, tmp_path):
    path = tmp_path / "warn.test.zone"
    path.write_text("$ORIGIN warn.test.\n@ 60 SOA ns h 1 2 3 4 5\n"
                    "@ 60 NS ns\n@ 60 NS none\n@ 60 NS alias\n"
                    "@ 60 NS ns.else.test.\nsub 60 NS x.wild\n"
                    "ns 60 A 192.0.2.1\nalias 60 CNAME ns\n"
                    "*.wild 60 A 192.0.2.2\n")
    for command in (("zone", "check"), ("zone", "load")):
        code, _, errors = resolua(*command, path)
        assert code == 0
        assert sorted(errors.splitlines()) == [
            f"{path}: warning: NS alias.warn.test has a CNAME in place of an "
            "address",
            f"{path}: warning: NS none.warn.test has no address"]


def run_command(*words, cwd=None, program=ROOT / "tools/resolua", **more):
    done = subprocess.run([program, *words], capture_output=True, text=True,
                          timeout=60, cwd=cwd, env={
                              **environment(), "RESOLUA_BUILD": str(BUILD),
                              **more})
    return done.returncode, done.stdout, done.stderr


def test_version_and_help():
    version = (ROOT / "VERSION").read_text()
    assert run_command("--version") == (0, f"resolua {version}", "")
    code, text, _ = run_command("help")
    assert code == 0 and text.startswith("usage: resolua ")
    assert run_command("help", "zone", "load")[1] == \
        run_command("zone", "load", "--help")[1]
    assert run_command("help", "run")[1] == run_command("run", "--help")[1]
    assert run_command("help", "flame")[1].startswith("usage: resolua flame")


def test_before_the_build_it_says_what_to_do(tmp_path):
    code, text, errors = run_command("zone", "list",
                                     RESOLUA_BUILD=str(tmp_path))
    assert (code, text) == (1, "")
    assert "is not built yet" in errors and "tools/serve" in errors
    assert len(errors.splitlines()) == 1


def test_an_edit_makes_no_store(resolua, tmp_path):
    for words in (("record", "add", "example.test", "x", "A", "192.0.2.1"),
                  ("record", "set", "example.test", "x", "A", "192.0.2.1"),
                  ("record", "delete", "example.test", "x", "A"),
                  ("zone", "delete", "example.test"), ("zone", "list"),
                  ("zone", "show", "example.test"),
                  ("zone", "load", tmp_path / "absent.zone")):
        code, _, errors = resolua(*words)
        assert code == 1
        assert len(errors.splitlines()) == 1
        assert not (tmp_path / "data").exists(), words

    code, output, errors = resolua("explain", "x.test", "--api",
                                   "http://127.0.0.1:1/dns")
    assert (code, output) == (1, "") and "no store is there" in errors
    assert not (tmp_path / "data").exists()


def test_query_asks_the_port_of_serve():
    for words, port in (((), 5300), (("@::1",), 5300), (("-p", "1"), 1)):
        code, _, errors = run_command("query", "x.test", *words)
        if code != 0:  # nothing listens there, or it is another's server
            assert f"port {port}" in errors


def test_query_names_a_type_that_is_none():
    for rtype in ("FROB", "TYPE70000"):
        assert run_command("query", "x.test", rtype, "-p", "1") == \
            (1, "", f"resolua: {rtype}: no such record type\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_root_gives_no_file_away_through_a_link(resolua, zone, tmp_path, link):
    mine = tmp_path / "data/data.mdb"
    folder = tmp_path / "theirs"
    folder.mkdir()
    link(mine, folder / "data.mdb")
    shutil.chown(folder, "nobody")
    code, text, errors = run_command("--data", folder, "zone", "list")
    assert (code, text) == (0, "example.test\t1\n"), errors
    assert mine.stat().st_uid == 0
    assert (folder / "lock.mdb").stat().st_uid == folder.stat().st_uid


def test_the_manual_has_each_option_of_a_store(resolua):
    manual = (ROOT / "docs/stores.md").read_text()
    code, options, _ = resolua("store", "options")
    assert code == 0 and options.count("\n") > 20
    for line in options.splitlines():
        name, default = re.match(
            r"(\w+)=.*?(?:default (\w+)\))?$", line).groups()
        assert re.search(rf"`{name}=\S*`", manual), name
        row = re.search(rf"\| `{name}=.*?\n", manual)
        if default and default != "off":
            assert f"| {default} |" in row[0], name


@pytest.mark.parametrize("url, says", [
    ("http://u:secret@h/d", "neither mysql://"),
    ("redis://:secret@h?speed=1", '"speed": no such option'),
    ("redis://:secret@h?prefix=" + 256 * "x", '"prefix": too long'),
    ("mysql://u:secret@h", "a database is missing"),
])
def test_a_wrong_url_is_refused_without_its_password(resolua, url, says):
    code, _, errors = resolua("--store", url, "zone", "list")
    assert code == 1
    assert says in errors and "secret" not in errors
