"""Master files as BIND reads them: the same text through our parser and
through named-checkzone, and what we write through named-checkzone again."""

import ctypes
import os
import shutil
import subprocess

import pytest

from structures import Record, ZonefileOptions
from resolua_server import BUILD

ENOTFOUND = -3
TEXT_MAX = 1 << 21
CHECKZONE = shutil.which("named-checkzone", path=os.environ["PATH"]
                         + ":/usr/sbin:/sbin")

SYNTAX = r'''
$TTL 1d
$ORIGIN example.test.
@	1D IN SOA ns (
	host\.master ; mail box
	2024010101
	3H ; refresh
	1H1M1S
	1W
	1d ) ; done
	IN 1h NS ns
ns  in  a 192.0.2.1
    AAAA ::1
NS2.SUB 0 A 192.0.2.2
*.wild   TXT "a" b "c;d" e\;f ; comment
* A 192.0.2.3
a\.b A 192.0.2.4
\065bc A 192.0.2.5
sp\032ace TXT ( "multi" ; c1
   "line" ; c2
   )
tab	TXT	"tab	inside"
q TXT "quo\"te" "back\\slash" "\001\127\200"
u TXT unquoted\ space
e TXT ""
(par A 192.0.2.6)
par2 ( A ) 192.0.2.6
par3 A ( 192.0.2.7
)
$ORIGIN sub
rel A 192.0.2.8
@ A 192.0.2.9
abs.example.test. A 192.0.2.10
$ORIGIN deep
x MX 10 @
x MX 20 y.example.
$TTL 60
x2 MX 10 .
$ORIGIN example.test.
type TYPE62347 \# 3 abcdef
type1 TYPE1 \# 4 C0000201
uri URI 10 1 "http://x/?a=\"b\""
mapped AAAA 1:2:3:4:5:6:1.2.3.4
svcb SVCB 3 x mandatory=port port=1 key65400="a\"b c"
$GENERATE 1-4/3 g${0,2,d} A 192.0.2.$
$GENERATE 0-2 ${10,3,x}.rev PTR h$.x.
$GENERATE 254-256/2 ${0,5,n} TXT n${0,7,N}
$GENERATE 170-171 even${0,4,N}x TXT ${0,0,N}
$GENERATE 1-2 low${-5,4,n} TXT "${-5,3,d}|${-5,12,x}|${-5,0,o}|${-5,10,N}"
$GENERATE 1-2 mx$ MX "0 ."
$GENERATE 1-2 words$ 60 IN TXT "a $" ; comment
$GENERATE 1-2 string$ TXT "\"a; (b) $\""
$GENERATE 1-2 back$ TXT "\\\"a $\\\""
$GENERATE 1-2 host$ A "192.0.2.$"
UPPER.Case A 192.0.2.77
'''

TYPES = r'''
$TTL 300
@ SOA ns h 1 2 3 4 5
@ NS ns
ns A 192.0.2.1
minfo MINFO a.b. c
hinfo HINFO PC-Intel-700mhz "Redhat Linux 7.1"
rp RP a\.b.c.d. txt
afsdb AFSDB 1 afs.example.
x25 X25 "311061700956"
isdn ISDN "150862028003217" "004"
rt RT 2 relay
nsap NSAP 0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00
px PX 10 net2.it. PRMD-net2.ADMD-p400.C-it.
key KEY 512 255 1 AQMFD5raczCJHViKtLYhWGz8hMY9UGRniJDBzC7w0aRyzWZr
gpos GPOS "-32.6882" "116.8652" "10.0"
loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
loc LOC 32 7 19 S 116 2 25 E 10m
srv SRV 0 0 0 .
naptr NAPTR 10 100 "S" "SIP+D2U" "" _sip._udp
kx KX 10 kx
cert CERT PKIX 12345 RSASHA256 DFC96D6D0DBA
dname DNAME other.
apl APL 1:192.168.32.0/21 !2:FF00:0:0:0:0:0:0:0/8
ds NS ns
ds DS 12345 RSASHA256 2 0123456789abcdef0123456789abcdef 0123456789abcdef0123456789abcdef
sshfp SSHFP 4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ipsec IPSECKEY 10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==
ipsec IPSECKEY 10 3 2 gateway AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==
nsec NSEC host A MX RRSIG NSEC TYPE1234
key DNSKEY 256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+BBZH4b/0PY1kxkmv
cds CDS 0 0 0 00
cds CDNSKEY 0 3 0 AA==
dhcid DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
tlsa TLSA 3 1 1 ( 0123456789abcdef
  0123456789ABCDEF 0123456789abcdef0123456789abcdef )
smimea SMIMEA 3 0 0 aabb
hip HIP 2 200100107B1A74DF365639CC39F1D578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e1 rvs1 rvs2.example.com.
talink TALINK a b.example.
pgp OPENPGPKEY AwEAAbdxyhNuSutc
csync CSYNC 66 3 A NS AAAA
spf SPF "v=spf1 -all"
nid NID 10 14:4fff:ff20:ee64
nid L32 10 10.1.2.0
nid L64 10 2001:0DB8:1140:1000
nid LP 10 l64
eui EUI48 00-00-5e-00-53-2a
eui EUI64 00-00-5E-ef-10-00-00-2a
caa CAA 0 issue "letsencrypt.org; validationmethods=dns-01"
caa CAA 0 issuewild ";"
avc AVC "app-name:WOLFGANG|app-class:OAM"
relay AMTRELAY 10 0 1 203.0.113.15
relay AMTRELAY 128 1 3 amtrelays
https HTTPS 1 . alpn="h2,h3" ipv4hint=192.0.2.1,192.0.2.2 ipv6hint="2001:db8::1" port=8443
https2 HTTPS 0 www
svcb SVCB 16 foo.example.org. ( alpn="f\\\\oo\\,bar,h2" no-default-alpn
  mandatory=alpn,port port=53 ech=AEX+DQBB dohpath=/dns-query{?dns} key667=hello )
'''


class Parser:
    """dns_zonefile_* and dns_record_to_text() by ctypes."""

    def __init__(self):
        self.lib = ctypes.CDLL(os.environ.get(
            "RESOLUA_LIBRARY", str(BUILD / "lib/libresolua.so")))
        self.lib.dns_zonefile_error.restype = ctypes.c_char_p
        self.line = ctypes.create_string_buffer(TEXT_MAX)

    def lines(self, text):
        """Each record as one line with absolute names."""
        origin = ctypes.create_string_buffer(b"\7example\4test\0")
        text = text.encode("latin-1")
        options = ZonefileOptions(
            text=text, size=len(text),
            origin=ctypes.cast(origin, ctypes.c_char_p))
        file, record, size = ctypes.c_void_p(), Record(), ctypes.c_size_t()
        found = []
        status = self.lib.dns_zonefile_open(ctypes.byref(file),
                                            ctypes.byref(options))
        while status == 0:
            status = self.lib.dns_zonefile_next(file, ctypes.byref(record))
            if status != 0:
                break
            assert self.lib.dns_record_to_text(
                ctypes.byref(record), self.line, ctypes.c_size_t(TEXT_MAX),
                ctypes.byref(size)) == 0
            found.append(self.line.value.decode("ascii"))
        error = self.lib.dns_zonefile_error(file).decode()
        self.lib.dns_zonefile_free(file)
        assert status == ENOTFOUND, error
        return found


def through_bind(folder, text):
    """A master file as BIND writes it after reading it."""
    (folder / "in.zone").write_text(text, encoding="latin-1")
    subprocess.run(
        [CHECKZONE, "-q", "-i", "none", "-k", "ignore", "-m", "ignore",
         "-n", "ignore", "-r", "ignore", "-M", "ignore", "-S", "ignore",
         "-o", folder / "out.zone", "-D", "example.test",
         folder / "in.zone"], check=True)
    return (folder / "out.zone").read_text(encoding="latin-1")


def same_letters(lines):
    """BIND keeps one spelling of an owner name that occurs in several."""
    return sorted(line.lower() for line in lines)


@pytest.mark.skipif(CHECKZONE is None, reason="needs bind9-utils")
@pytest.mark.parametrize("text", [SYNTAX, TYPES], ids=["syntax", "types"])
def test_agrees_with_bind(tmp_path, text):
    parser = Parser()
    ours = parser.lines(text)
    theirs = parser.lines(through_bind(tmp_path, text))
    assert same_letters(ours) == same_letters(theirs)

    back = parser.lines(through_bind(tmp_path, "".join(ours)))
    assert same_letters(back) == same_letters(ours)


def test_reads_back_what_it_writes():
    parser = Parser()
    for text in (SYNTAX, TYPES):
        lines = parser.lines(text)
        assert parser.lines("".join(lines)) == lines
