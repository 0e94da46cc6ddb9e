#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/rdata_text.h"
#include "dns/type.h"

/* A record's text, and how it is written back (NULL: the same). */
typedef struct {
    const char *type;
    const char *text;
    const char *written;
} sample_t;

static const sample_t samples[] = {
    {"A", "192.0.2.1", NULL},
    {"NS", "ns1.example.test.", NULL},
    {"NS", "ns1", "ns1.example.test."},
    {"CNAME", "@", "example.test."},
    {"MD", "a.b.", NULL},
    {"MF", "a.b.", NULL},
    {"MB", "a.b.", NULL},
    {"MG", "a.b.", NULL},
    {"MR", "a.b.", NULL},
    {"MINFO", "a.b. c.d.", NULL},
    {"SOA", "ns. host\\.master.example. 1 1h 15m 1w 1d",
     "ns. host\\.master.example. 1 3600 900 604800 86400"},
    {"SOA", "ns. h. ( 2024010101\n 2 3\n4 5 )", "ns. h. 2024010101 2 3 4 5"},
    {"WKS", "192.0.2.1 6 25 80", NULL},
    {"PTR", "host.example.", NULL},
    {"HINFO", "\"DEC-20\" TOPS20", "\"DEC-20\" \"TOPS20\""},
    {"MX", "10 mail.example.", NULL},
    {"MX", "0 .", NULL},
    {"TXT", "\"one two\" three", "\"one two\" \"three\""},
    {"TXT", "\"a\\\"b\\\\c\\000\\255;\"", NULL},
    {"TXT", "\"\"", NULL},

    /* One record, of which nothing is left out. */
    {"TXT", "v=DMARC1; p=reject; rua=mailto:a@example.test",
     "\"v=DMARC1; p=reject; rua=mailto:a@example.test\""},
    {"TXT", " v=spf1 -all\n", "\"v=spf1 -all\""},
    {"TXT", "a\\; (b) \\\\c\\ ", "\"a; (b) \\\\c \""},
    {"TXT", "( \"a\"\n\"b;c\" )", "\"a\" \"b;c\""},
    {"TXT", "\\# 2 0141", "\"A\""},
    {"SPF", "\"v=spf1 -all\"", NULL},
    {"RP", "mbox.example. .", NULL},
    {"AFSDB", "1 afs.example.", NULL},
    {"X25", "\"311061700956\"", NULL},
    {"ISDN", "\"150862028003217\" \"004\"", NULL},
    {"RT", "2 relay.example.", NULL},
    {"NSAP", "0x47000580005a0000000001e133ffffff00016100", NULL},
    {"NSAP-PTR", "foo.example.", NULL},
    {"PX", "10 net2.it. PRMD-net2.ADMD-p400.C-it.", NULL},
    {"KEY", "512 255 1 AQMFD5raczCJHViKtLYhWGz8hMY9UGRniJDBzC7w0aRyzWZr", NULL},
    {"GPOS", "\"-32.6882\" \"116.8652\" \"10.0\"", NULL},
    {"AAAA", "2001:db8::1", NULL},
    {"AAAA", "::FFFF:192.0.2.1", "::ffff:192.0.2.1"},
    {"LOC", "42 21 54.000 N 71 06 18.000 W -24.00m 30m 10000m 10m",
     "42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m"},
    {"LOC", "52 22 23.5 N 4 E -2m",
     "52 22 23.500 N 4 0 0.000 E -2.00m 1m 10000m 10m"},
    {"LOC", "0 1 N 1 E 0", "0 1 0.000 N 1 0 0.000 E 0.00m 1m 10000m 10m"},
    {"LOC", "0 0 1 n 1 w 0M", "0 0 1.000 N 1 0 0.000 W 0.00m 1m 10000m 10m"},
    {"LOC", "90 0 0 S 180 0 0 W -100000m 0 0.1m 90000000.00m",
     "90 0 0.000 S 180 0 0.000 W -100000.00m 0.00m 0.10m 90000000m"},
    {"LOC", "1 59 59.999 N 1 2 .5 E 42849672.95m 9.99m 19.99 0.01m",
     "1 59 59.999 N 1 2 0.500 E 42849672.95m 9m 10m 0.01m"},
    {"HHIT", "AAECAwQ=", NULL},
    {"BRID", "AAEC AwQ=", "AAECAwQ="},
    {"CLA", "TCP-v4-v6", "\"TCP-v4-v6\""},
    {"IPN", "18446744073709551615", NULL},
    {"RRSIG", "A 8 2 300 22070101000000 21060207062816 1 a. AAAA",
     "A 8 2 300 20701123173144 19700101000000 1 a. AAAA"},
    {"SVCB", "1 . alpn=h2 no-default-alpn dohpath=/q{?dns}",
     "1 . alpn=\"h2\" no-default-alpn dohpath=\"/q{?dns}\""},
    {"SVCB", "1 . dohpath=/q{?x,dns}{&y}", "1 . dohpath=\"/q{?x,dns}{&y}\""},
    /* The octets of the wire, as BIND and PowerDNS have it. */
    {"SVCB", "1 . key1=\\002h2\\002h3 key2 key3=\\000\\053",
     "1 . alpn=\"h2,h3\" no-default-alpn port=53"},
    {"SVCB", "1 . key0=\\000\\005\\000\\004 key4=abcd key5=a",
     "1 . mandatory=ipv4hint,ech ipv4hint=97.98.99.100 ech=YQ=="},
    {"SVCB", "1 . alpn=a\\\\b", "1 . alpn=\"ab\""}, /* as BIND has it */
    {"SRV", "0 5 5060 sip.example.", NULL},
    {"NAPTR",
     "100 50 \"s\" \"http+I2L+I2C+I2R\" \"!^.*$!http://x\\\\1!\" _http._tcp.x.",
     NULL},
    {"NAPTR", "1 2 U E2U+sip \"!^.*$!sip:a@b!\" .",
     "1 2 \"U\" \"E2U+sip\" \"!^.*$!sip:a@b!\" ."},
    {"KX", "10 kx.example.", NULL},
    {"CERT", "PKIX 12345 RSASHA256 MIIB", "1 12345 8 MIIB"},
    {"DNAME", "target.example.", NULL},
    {"APL", "1:192.168.32.0/21 !1:192.168.38.0/28", NULL},
    {"APL", "2:FF00:0:0:0:0:0:0:0/8", "2:ff00::/8"},
    {"DS", "60485 5 1 2BB183AF5F22588179A53B0A 98631FAD1A292118",
     "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118"},
    {"CDS", "0 0 0 00", NULL},
    {"DLV", "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118", NULL},
    {"TA", "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118", NULL},
    {"SSHFP", "2 1 123456789abcdef67890123456789abcdef67890", NULL},
    {"SSHFP", "2 9 1234", NULL},
    {"DS", "1 8 9 abcd", NULL},
    {"IPSECKEY",
     "10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
     NULL},
    {"IPSECKEY",
     "10 0 2 . AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==", NULL},
    {"IPSECKEY",
     "10 3 2 mygateway.example.com. "
     "AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
     NULL},
    {"RRSIG",
     "A RSASHA1 3 86400 20030322173103 ( 20030220173103 2642 example.com. "
     "oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTr )",
     "A 5 3 86400 20030322173103 20030220173103 2642 example.com. "
     "oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTr"},
    {"NSEC", "host.example.com. A MX RRSIG NSEC TYPE1234", NULL},
    {"NSEC", "\\000.example.com. URI CAA A", "\\000.example.com. A URI CAA"},
    {"DNSKEY", "256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+BBZH4b/0PY1kxkmv",
     NULL},
    {"CDNSKEY", "0 3 0 AA==", NULL},
    {"DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=", NULL},
    {"NSEC3", "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS",
     "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS MX DNSKEY"},
    {"NSEC3", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR",
     "1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr"},
    {"NSEC3PARAM", "1 0 12 aabbccdd", NULL},
    {"NSEC3PARAM", "1 0 0 -", NULL},
    {"TLSA",
     "0 0 1 d2abde240d7cd3ee6b4b28c54df034b9 7983a1d16e8a410e4561cb106618e971",
     "0 0 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"},
    {"SMIMEA", "3 0 0 aabb", NULL},
    {"HIP",
     "2 200100107b1a74df365639cc39f1d578 "
     "AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e1 rvs1.example.com. "
     "rvs2.example.com.",
     NULL},
    {"NINFO", "\"status\"", NULL},
    {"TALINK", "a.example. b.example.", NULL},
    {"OPENPGPKEY", "AwEAAbdxyhNuSutc", NULL},
    {"CSYNC", "66 3 A NS AAAA", NULL},
    {"ZONEMD",
     "2018031500 1 1 "
     "6a47e3bcb0bcd2bca1fafd33fe1fb5da5fe9d6d7df8eb16a6f4fb1ac5cc9b35"
     "db1cd9c4f1b1bdc8bbf6bcc63f6cd9bf2",
     NULL},
    {"NID", "10 0014:4fff:ff20:ee64", NULL},
    {"NID", "10 14:4fff:0:ee64", "10 0014:4fff:0000:ee64"},
    {"L32", "10 10.1.2.0", NULL},
    {"L64", "10 2001:0db8:1140:1000", NULL},
    {"LP", "10 l64-subnet1.example.com.", NULL},
    {"EUI48", "00-00-5e-00-53-2a", NULL},
    {"EUI64", "00-00-5e-ef-10-00-00-2a", NULL},
    {"URI", "10 1 \"ftp://ftp1.example.com/public\"", NULL},
    {"CAA", "0 issue \"ca1.example.net\"", NULL},
    {"CAA", "128 iodef \"mailto:security@example.com\"", NULL},
    {"CAA", "0 issue \"\"", NULL},
    {"AVC", "\"app-name:WOLFGANG|app-class:OAM\"", NULL},
    {"AMTRELAY", "10 0 1 203.0.113.15", NULL},
    {"AMTRELAY", "10 0 2 2001:db8::15", NULL},
    {"AMTRELAY", "128 1 3 amtrelays.example.com.", NULL},
    {"RESINFO", "\"qnamemin\" \"exterr=15,16,17\"", NULL},
    {"RESINFO", "qnamemin exterr=15,16,17", "\"qnamemin\" \"exterr=15,16,17\""},
    {"ISDN", "150862028003217 004", "\"150862028003217\" \"004\""},
    {"WALLET", "\"BTC\" \"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\"", NULL},
    {"DSYNC", "CDS NOTIFY 5359 cds-scanner.example.net.",
     "CDS 1 5359 cds-scanner.example.net."},
    {"TYPE65280", "\\# 4 0a000001", NULL},
    {"TYPE65280", "\\# 0", NULL},
    {"A", "\\# 4 c0 00 02 01", "192.0.2.1"},
    {"NULL", "\\# 3 010203", NULL},

    /* RFC 9460 appendix D. */
    {"SVCB",
     "\\# 35 0010 03 666f6f 07 6578616d706c65 03 6f7267 00 0001 000c "
     "08 66 5c 6f 6f 2c 62 61 72 02 68 32",
     "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\""},
    {"HTTPS", "0 foo.example.com.", NULL},
    {"SVCB", "1 .", NULL},
    {"SVCB", "16 foo.example.com. port=53", NULL},
    {"SVCB", "1 foo.example.com. key667=hello",
     "1 foo.example.com. key667=\"hello\""},
    {"SVCB", "1 foo.example.com. key667=\"hello\\210qoo\"", NULL},
    {"SVCB", "1 foo.example.com. ipv6hint=\"2001:db8::1,2001:db8::53:1\"",
     "1 foo.example.com. ipv6hint=2001:db8::1,2001:db8::53:1"},
    {"SVCB",
     "16 foo.example.org. ( alpn=h2,h3-19 mandatory=ipv4hint,alpn\n"
     "ipv4hint=192.0.2.1 )",
     "16 foo.example.org. mandatory=alpn,ipv4hint alpn=\"h2,h3-19\" "
     "ipv4hint=192.0.2.1"},
    {"SVCB", "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"", NULL},
    {"SVCB", "16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2",
     "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\""},
    {"HTTPS", "1 . alpn=h3 no-default-alpn ech=AEX+DQBB",
     "1 . alpn=\"h3\" no-default-alpn ech=AEX+DQBB"},
    {"SVCB", "1 dns.example. dohpath=/dns-query{?dns}",
     "1 dns.example. dohpath=\"/dns-query{?dns}\""},
};

static const sample_t wrong[] = {
    {"A", "192.0.2", NULL},
    {"A", "192.0.2.1 x", NULL},
    {"A", "", NULL},
    {"A", "\\# 3 010203", NULL},
    {"A", "\\# 4 0102030", NULL},
    {"A", "192.0.2.1\n192.0.2.2", NULL},
    {"AAAA", "192.0.2.1", NULL},
    {"MX", "mail.", NULL},
    {"MX", "65536 mail.", NULL},
    {"MX", "-1 mail.", NULL},
    {"NS", "a..b.", NULL},
    {"TXT", "\"open", NULL},
    {"TXT", "\"\\256\"", NULL},
    {"TXT", "(\"a\"", NULL},
    {"TXT", "\"a\")", NULL},
    {"TXT", "\"a\" ; \"b\"", NULL},
    {"TXT", "a\nb", NULL},
    {"TXT", "a\\", NULL},
    {"TXT", " ", NULL},
    {"A", "192.0.2.1 ; the router", NULL},
    {"SOA", "a. b. ( 1 ; serial\n 2 3 4 5 )", NULL},
    {"CAA", "0 issue ca.test; account=1", NULL},
    {"HINFO", "PC Linux;Debian", NULL},
    {"SVCB", "1 . alpn=h2;h3", NULL},
    {"SOA", "a. b. 1 2 3 4", NULL},
    {"SOA", "a. b. 1 2 3 4 5x", NULL},
    {"DS", "1 8 2 abc", NULL},
    {"DS", "1 8 2", NULL},
    {"DS", "1 8 2 2bb183af5f22588179a53b0a98631fad1a292118", NULL},
    {"CDS", "1 8 4 abcd", NULL},
    {"SSHFP", "2 2 123456789abcdef67890123456789abcdef67890", NULL},
    {"ZONEMD", "1 1 1 abcdabcdabcdabcdabcdabcd", NULL},
    {"DNSKEY", "256 3 8 A===", NULL},
    {"DNSKEY", "256 3 8 AAA", NULL},
    {"NSEC", "a. NOTYPE", NULL},
    {"RRSIG", "A 8 2 300 20241301000000 20240101000000 1 a. AAAA", NULL},
    {"NSEC3", "1 0 0 abc 2t7b4g4vsa5smi47k61mv5bv1a22bojr A", NULL},
    {"CAA", "0 is-sue \"x\"", NULL},
    {"EUI48", "00-00-5e-00-53", NULL},
    {"NID", "10 0014:4fff:ff20", NULL},
    {"NID", "10 0014:4fff:ff20:ee64:1", NULL},
    {"NID", "10 00144:4fff:ff20:ee64", NULL},
    {"NID", "10 :4fff:ff20:ee64", NULL},
    {"NID", "10 0014:4fff:ff20:ee64:", NULL},
    {"EUI48", "00:00:5e:00:53:2a", NULL},
    {"LOC", "91 0 0 N 0 0 0 E 0m", NULL},
    {"LOC", "90 0 0.001 N 0 0 0 E 0m", NULL},
    {"LOC", "0 0 0 N 180 1 E 0m", NULL},
    {"LOC", "52 60 23 N 4 53 32 E 0", NULL},
    {"LOC", "52 59 60 N 4 53 32 E 0", NULL},
    {"LOC", "52 59 1.2345 N 4 53 32 E 0", NULL},
    {"LOC", "52 59 1 2 N 4 53 32 E 0", NULL},
    {"LOC", "-1 N 4 E 0", NULL},
    {"LOC", "N 4 E 0", NULL},
    {"LOC", "52 22 23 N 4 53 32 E 42849672.96m", NULL},
    {"LOC", "52 22 23 N 4 53 32 E -100000.01m", NULL},
    {"LOC", "52 22 23 N 4 53 32 E 0.001m", NULL},
    {"LOC", "52 22 23 N 4 53 32 E m", NULL},
    {"LOC", "52 22 23 N 4 53 32 E 0 90000000.01m", NULL},
    {"LOC", "52 22 23 N 4 53 32 E 0 -1m", NULL},
    {"LOC", "52 22 23 N 4 53 32 E 0 0 0 0 x", NULL},
    {"LOC", "52 22 23 E 4 53 32 N 0", NULL},
    {"LOC", "1 N 1 E", NULL},
    {"IPN", "18446744073709551616", NULL},
    {"RRSIG", "A 8 2 300 20240230000000 20240101000000 1 a. AAAA", NULL},
    {"SVCB", "1 . no-default-alpn", NULL},
    {"HTTPS", "1 . no-default-alpn port=1", NULL},
    {"SVCB", "1 . dohpath=", NULL},
    {"SVCB", "1 . dohpath", NULL},
    {"SVCB", "1 . dohpath=/q", NULL},
    {"SVCB", "1 . dohpath=q{?dns}", NULL},
    {"SVCB", "1 . dohpath=/{?dn}s", NULL},
    {"SVCB", "\\# 7 00010000070000", NULL},
    {"SVCB", "\\# 7 00010000020000", NULL},
    {"TYPE65280", "10.0.0.1", NULL},

    /* RFC 9460 appendix D.3. */
    {"SVCB", "1 foo.example.com. key123=abc key123=def", NULL},
    {"SVCB", "1 foo.example.com. mandatory", NULL},
    {"SVCB", "1 foo.example.com. alpn", NULL},
    {"SVCB", "1 foo.example.com. port", NULL},
    {"SVCB", "1 foo.example.com. ipv4hint", NULL},
    {"SVCB", "1 foo.example.com. no-default-alpn=abc", NULL},
    {"SVCB", "1 foo.example.com. mandatory=key123", NULL},
    {"SVCB", "1 foo.example.com. mandatory=mandatory", NULL},
    {"SVCB", "1 foo.example.com. mandatory=key123,key123 key123=abc", NULL},
    {"SVCB", "1 foo.example.com. key65535=x", NULL},
    {"SVCB", "1 foo.example.com. key0667=x", NULL},
    {"SVCB", "1 foo.example.com. key1=h2", NULL},
    {"SVCB", "1 foo.example.com. key3=853", NULL},
    {"SVCB", "1 foo.example.com. key4=192.0.2.1", NULL},
    {"SVCB", "1 foo.example.com. key0=\\000\\000", NULL},
    {"SVCB", "1 foo.example.com. key0=\\000\\001 key4=abcd", NULL},
    {"SVCB", "1 foo.example.com. key8=x", NULL},
    {"SVCB", "1 foo.example.com. alpn=h2,", NULL},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const uint8_t origin[] = "\7example\4test";
static uint8_t octets[DNS_RDATA_MAX];
static char written[DNS_RDATA_TEXT_MAX];

static dns_status_t
read_sample(const sample_t *sample, uint16_t *type, uint16_t *size,
            dns_text_error_t *error)
{
    assert_int_equal(
        dns_type_from_text(type, sample->type, strlen(sample->type)), DNS_OK);

    dns_rdata_input_t input = {.type = *type,
                               .text = sample->text,
                               .size = strlen(sample->text),
                               .origin = origin};

    return dns_rdata_from_text(&input, octets, size, error);
}

static void
reads_and_writes_each_type(void **state)
{
    (void) state;

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const sample_t *sample = &samples[i];
        const char *expected =
            sample->written != NULL ? sample->written : sample->text;
        dns_text_error_t error = {0};
        uint16_t type;
        uint16_t size;
        size_t length;

        if (read_sample(sample, &type, &size, &error) != DNS_OK) {
            fail_msg("%s %s: at %zu expected %s", sample->type, sample->text,
                     error.at, error.expected);
        }

        dns_rdata_t rdata = {octets, size};

        assert_int_equal(
            dns_rdata_to_text(type, &rdata, written, sizeof(written), &length),
            DNS_OK);
        if (strcmp(written, expected) != 0) {
            print_message("%s %s\n", sample->type, sample->text);
        }
        assert_string_equal(written, expected);
        assert_int_equal(length, strlen(expected));
    }
}

/* ldns reads the text that we read, and the text that we wrote, into the same
   octets. */
static bool
ldns_reads(const char *type, const char *text, uint8_t *out, size_t *size)
{
    char line[2048];
    ldns_rdf *root = ldns_dname_new_frm_str("example.test.");
    ldns_rr *rr = NULL;

    snprintf(line, sizeof(line), "x. 300 IN %s %s", type, text);

    if (ldns_rr_new_frm_str(&rr, line, 0, root, NULL) != LDNS_STATUS_OK) {
        ldns_rdf_deep_free(root);
        return false;
    }

    *size = 0;

    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        ldns_rdf *rdf = ldns_rr_rdf(rr, i);

        if (ldns_rdf_size(rdf) > 0) {
            memcpy(out + *size, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
        }
        *size += ldns_rdf_size(rdf);
    }

    ldns_rr_free(rr);
    ldns_rdf_deep_free(root);
    return true;
}

static void
agrees_with_ldns(void **state)
{
    (void) state;
    unsigned agreed = 0;

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const sample_t *sample = &samples[i];
        uint8_t theirs[4096];
        size_t their_size;
        uint16_t type;
        uint16_t size;

        if (read_sample(sample, &type, &size, NULL) != DNS_OK) {
            fail_msg("%s %s is not read", sample->type, sample->text);
        }

        if (strchr(sample->text, '\n') != NULL ||
            !ldns_reads(sample->type, sample->text, theirs, &their_size)) {
            print_message("ldns does not read: %s %s\n", sample->type,
                          sample->text);
            continue;
        }

        if (their_size != size || memcmp(theirs, octets, size) != 0) {
            print_message("differs: %s %s\n", sample->type, sample->text);
            continue;
        }

        agreed++;
    }

    print_message("%u of %zu agree with ldns\n", agreed, COUNT_OF(samples));
    assert_true(agreed > 60);
}

static void
refuses_wrong_text_and_says_where(void **state)
{
    (void) state;

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        dns_text_error_t error = {0};
        uint16_t type;
        uint16_t size = 7;

        if (read_sample(&wrong[i], &type, &size, &error) == DNS_OK) {
            fail_msg("%s %s was read", wrong[i].type, wrong[i].text);
        }

        assert_int_equal(size, 7);
        assert_non_null(error.expected);
        assert_in_range(error.at, 0, strlen(wrong[i].text));
    }
}

static void
writes_within_the_room_that_it_has(void **state)
{
    (void) state;

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        uint16_t type;
        uint16_t size;
        size_t length;

        assert_int_equal(read_sample(&samples[i], &type, &size, NULL), DNS_OK);

        dns_rdata_t rdata = {octets, size};

        assert_int_equal(
            dns_rdata_to_text(type, &rdata, written, sizeof(written), &length),
            DNS_OK);
        written[length + 1] = 'x';
        assert_int_equal(
            dns_rdata_to_text(type, &rdata, written, length + 1, &length),
            DNS_OK);
        assert_int_equal(written[length + 1], 'x');
        if (dns_rdata_to_text(type, &rdata, written, length, &length) ==
            DNS_OK) {
            fail_msg("%s %s fits", samples[i].type, samples[i].text);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_each_type),
        cmocka_unit_test(agrees_with_ldns),
        cmocka_unit_test(refuses_wrong_text_and_says_where),
        cmocka_unit_test(writes_within_the_room_that_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
