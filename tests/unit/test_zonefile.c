#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dns/name.h"
#include "dns/rdata_text.h"
#include "dns/zonefile.h"

static const uint8_t origin[] = "\7example\4test";

/* Reads a text and writes each record back, one to a line. */
static dns_status_t
canonical(const dns_zonefile_options_t *options, char *out, size_t room,
          char *error)
{
    dns_zonefile_t *file;
    dns_record_t record;
    dns_status_t status = dns_zonefile_open(&file, options);
    size_t size = 0;

    *out = '\0';

    while (status == DNS_OK &&
           (status = dns_zonefile_next(file, &record)) == DNS_OK) {
        size_t length;

        assert_int_equal(
            dns_record_to_text(&record, out + size, room - size, &length),
            DNS_OK);
        size += length;
    }

    strcpy(error, dns_zonefile_error(file));
    dns_zonefile_free(file);
    return status;
}

static dns_zonefile_options_t
of_text(const char *text)
{
    return (dns_zonefile_options_t){
        .name = "test", .text = text, .size = strlen(text), .origin = origin};
}

static void
check(const char *text, const char *expected)
{
    static char out[1 << 16];
    char error[DNS_ZONEFILE_ERROR_SIZE];
    dns_zonefile_options_t options = of_text(text);

    if (canonical(&options, out, sizeof(out), error) != DNS_ENOTFOUND) {
        fail_msg("%s", error);
    }

    assert_string_equal(out, expected);
}

static void
check_error(const char *text, const char *expected)
{
    static char out[1 << 16];
    char error[DNS_ZONEFILE_ERROR_SIZE];
    dns_zonefile_options_t options = of_text(text);

    assert_int_equal(canonical(&options, out, sizeof(out), error),
                     DNS_EMALFORMED);
    assert_string_equal(error, expected);
}

static void
reads_what_rfc1035_section_5_has(void **state)
{
    (void) state;

    check("$TTL 1h30m\n"
          "@ IN SOA ns hostmaster ( 1 ; serial\n"
          "     2 3 4\n"
          "     5 )\n"
          "  NS ns\n"
          "ns 300 IN A 192.0.2.1\n"
          "   IN 300 AAAA 2001:db8::1\n"
          "\n"
          "; a comment\n"
          "   ; a comment behind blanks\n"
          "www CNAME ns.example.test.\n"
          "$ORIGIN sub\n"
          "a A 192.0.2.2 ; here too\n"
          "$ORIGIN .\n"
          "b.test. TXT \"a;b\" c\\;d (e\nf)\n",
          "example.test.\t5400\tIN\tSOA\tns.example.test. "
          "hostmaster.example.test. 1 2 3 4 5\n"
          "example.test.\t5400\tIN\tNS\tns.example.test.\n"
          "ns.example.test.\t300\tIN\tA\t192.0.2.1\n"
          "ns.example.test.\t300\tIN\tAAAA\t2001:db8::1\n"
          "www.example.test.\t5400\tIN\tCNAME\tns.example.test.\n"
          "a.sub.example.test.\t5400\tIN\tA\t192.0.2.2\n"
          "b.test.\t5400\tIN\tTXT\t\"a;b\" \"c;d\" \"e\" \"f\"\n");
}

static void
reads_byte_order_marks_and_crlf(void **state)
{
    (void) state;

    check("\xef\xbb\xbf$TTL 60\r\na A 192.0.2.1\r\n  A 192.0.2.2\r\n"
          "b TXT (\"x\"\r\n y)\r\n\r\n",
          "a.example.test.\t60\tIN\tA\t192.0.2.1\n"
          "a.example.test.\t60\tIN\tA\t192.0.2.2\n"
          "b.example.test.\t60\tIN\tTXT\t\"x\" \"y\"\n");
}

static void
needs_no_line_end_at_the_end(void **state)
{
    (void) state;

    check("a 1 A 192.0.2.1", "a.example.test.\t1\tIN\tA\t192.0.2.1\n");
    check("a 1 TXT x", "a.example.test.\t1\tIN\tTXT\t\"x\"\n");
    check("a 1 SVCB 1 .", "a.example.test.\t1\tIN\tSVCB\t1 .\n");
    check("", "");
    check("\n\n", "");
    check("  ", "");
}

static void
reads_unknown_types_and_classes_rfc3597(void **state)
{
    (void) state;

    check("a 1 CLASS1 TYPE1 192.0.2.1\n"
          "a 1 CLASS32 TYPE731 \\# 6 abcd (\n ef 01 23 45 )\n"
          "a 1 CH TXT \"x\"\n",
          "a.example.test.\t1\tIN\tA\t192.0.2.1\n"
          "a.example.test.\t1\tCLASS32\tTYPE731\t\\# 6 abcdef012345\n"
          "a.example.test.\t1\tCH\tTXT\t\"x\"\n");
}

/* RFC 2308 section 4. */
static void
decides_the_ttl_as_rfc2308_section_4(void **state)
{
    (void) state;

    check("@ SOA . . 1 2 3 4 77\na A 192.0.2.1\n"
          "b 1w A 192.0.2.1\nc A 192.0.2.1\n"
          "$TTL 5\nd A 192.0.2.1\ne 9 A 192.0.2.1\nf A 192.0.2.1\n",
          "example.test.\t77\tIN\tSOA\t. . 1 2 3 4 77\n"
          "a.example.test.\t77\tIN\tA\t192.0.2.1\n"
          "b.example.test.\t604800\tIN\tA\t192.0.2.1\n"
          "c.example.test.\t604800\tIN\tA\t192.0.2.1\n"
          "d.example.test.\t5\tIN\tA\t192.0.2.1\n"
          "e.example.test.\t9\tIN\tA\t192.0.2.1\n"
          "f.example.test.\t5\tIN\tA\t192.0.2.1\n");
    check_error("a A 192.0.2.1\n",
                "test:1:2: expected a TTL, or $TTL before it, found the end "
                "of the line");
}

static void
generates_records(void **state)
{
    (void) state;

    check("$TTL 1\n$GENERATE 1-3 host$ A 192.0.2.$\n"
          "$GENERATE 8-12/2 a${-8,3,d} CNAME b${0,4,x}.$$\\$\n"
          "$GENERATE 18-18 ${0,7,n} 5 IN PTR h${0,2,X}.\n"
          "z A 192.0.2.9\n",
          "host1.example.test.\t1\tIN\tA\t192.0.2.1\n"
          "host2.example.test.\t1\tIN\tA\t192.0.2.2\n"
          "host3.example.test.\t1\tIN\tA\t192.0.2.3\n"
          "a000.example.test.\t1\tIN\tCNAME\tb0008.\\$\\$.example.test.\n"
          "a002.example.test.\t1\tIN\tCNAME\tb000a.\\$\\$.example.test.\n"
          "a004.example.test.\t1\tIN\tCNAME\tb000c.\\$\\$.example.test.\n"
          "2.1.0.0.example.test.\t5\tIN\tPTR\th12.\n"
          "z.example.test.\t1\tIN\tA\t192.0.2.9\n");
    check_error("\n$TTL 1\n$GENERATE 3-1 a A 192.0.2.1\n",
                "test:3:11: expected a range START-STOP or START-STOP/STEP, "
                "found \"3-1\"");
    check_error("$TTL 1\n$GENERATE 255-256 a A 192.0.2.$\n",
                "test:2:19: expected an IPv4 address such as 192.0.2.1, "
                "found \"192.0.2.256\"");
    check_error("$TTL 1\n$GENERATE 1-2 a${0,999} A 192.0.2.$\n",
                "test:2:15: expected text with $ or ${OFFSET,WIDTH,BASE} in "
                "it, found \"a${0,999}\"");
}

/* Each octet as an owner, in a name and in a string, by its escape and as it
   is. */
static void
keeps_all_256_octet_values(void **state)
{
    (void) state;

    for (unsigned i = 0; i < 256; i++) {
        char text[256];
        char out[512];
        char error[DNS_ZONEFILE_ERROR_SIZE];
        dns_zonefile_t *file;
        dns_record_t record;
        uint8_t name[] = {1, (uint8_t) i, 0};

        snprintf(text, sizeof(text), "\\%03u. 1 CNAME \\%03u.\n", i, i);

        dns_zonefile_options_t options = of_text(text);

        assert_int_equal(canonical(&options, out, sizeof(out), error),
                         DNS_ENOTFOUND);
        options = of_text(out);
        assert_int_equal(dns_zonefile_open(&file, &options), DNS_OK);
        assert_int_equal(dns_zonefile_next(file, &record), DNS_OK);
        assert_memory_equal(record.owner, name, 3);
        assert_memory_equal(record.rdata, name, 3);
        dns_zonefile_free(file);

        snprintf(text, sizeof(text), "a 1 TXT \\%03u \"\\%03u\"\n", i, i);
        options = of_text(text);
        assert_int_equal(canonical(&options, out, sizeof(out), error),
                         DNS_ENOTFOUND);
        options = of_text(out);
        assert_int_equal(dns_zonefile_open(&file, &options), DNS_OK);
        assert_int_equal(dns_zonefile_next(file, &record), DNS_OK);
        assert_int_equal(record.rdata_size, 4);
        assert_int_equal(record.rdata[1], i);
        assert_int_equal(record.rdata[3], i);
        dns_zonefile_free(file);
    }
}

static void
says_where_and_what_is_wrong(void **state)
{
    (void) state;

    check_error("$TTL 1\na A 192.0.2.1\nb A 192.0.2.300\n",
                "test:3:5: expected an IPv4 address such as 192.0.2.1, found "
                "\"192.0.2.300\"");
    check_error("$TTL 1\na MX mail.\n",
                "test:2:6: expected a number from 0 to 65535, found \"mail.\"");
    check_error("$TTL 1\na MX 10\nb A 192.0.2.1\n",
                "test:2:8: expected a domain name, found the end of the line");
    check_error("$TTL 1\na NOSUCH x\n",
                "test:2:3: expected a record type, found \"NOSUCH\"");
    check_error("$TTL 1\na ANY x\n",
                "test:2:3: expected a record type that a zone can hold, found "
                "\"ANY\"");
    check_error("  A 192.0.2.1\n",
                "test:1:3: expected an owner name, as there is none before "
                "it, found \"A\"");
    check_error("a 1 TXT ( \"x\"\n\n",
                "test:3:1: expected a closing parenthesis, found the end of "
                "the line");
    check_error("a 1 TXT \"x\n\n",
                "test:1:9: expected a closing quote on the same line, found "
                "\"\"x\"");
    check_error("a..b 1 A 192.0.2.1\n",
                "test:1:3: expected a valid domain name (labels of 1 to 63 "
                "octets, 255 in all), found \".b\"");
    check_error("$TTL 4294967296\n",
                "test:1:6: expected a TTL of 0 to 2147483647 seconds, found "
                "\"4294967296\"");
    check_error("$NOSUCH\n", "test:1:1: expected $ORIGIN, $TTL, $INCLUDE or "
                             "$GENERATE, found \"$NOSUCH\"");
    check_error("a 1 A 192.0.2.1 x\n",
                "test:1:17: expected the end of the record, found \"x\"");
    check_error("$INCLUDE x\n",
                "test:1:10: expected no $INCLUDE here, found \"x\"");
}

/* RFC 2181 section 8. */
static void
counts_a_ttl_with_the_highest_bit_as_0(void **state)
{
    (void) state;
    static const char *const warnings[] = {
        "test:1: warning: the TTL 4294967295 is above 2147483647 and counts as "
        "0",
        "",
        "test:4: warning: the TTL 2147483648 is above 2147483647 and counts as "
        "0",
    };
    dns_zonefile_options_t options = of_text("$TTL 4294967295\n"
                                             "a A 192.0.2.1\n"
                                             "b 2147483647 A 192.0.2.1\n"
                                             "c 2147483648 A 192.0.2.1\n");
    dns_zonefile_t *file;
    dns_record_t record;

    assert_int_equal(dns_zonefile_open(&file, &options), DNS_OK);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(dns_zonefile_next(file, &record), DNS_OK);
        assert_int_equal(record.ttl, i == 1 ? 2147483647 : 0);
        assert_string_equal(dns_zonefile_warning(file), warnings[i]);
    }

    dns_zonefile_free(file);
}

static char folder[] = "/tmp/zonefile.XXXXXX";

static void
write_file(const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);

    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void
remove_file(const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    unlink(path);
    rmdir(path);
}

static const char *include_folder;

static dns_status_t
read_main(char *out, size_t room, char *error)
{
    char path[256];
    dns_zonefile_options_t options = {
        .path = path,
        .origin = origin,
        .allows_include = true,
        .include_folder = include_folder,
    };

    snprintf(path, sizeof(path), "%s/main", folder);

    dns_status_t status = canonical(&options, out, room, error);

    /* Names of files differ from run to run. */
    if (strncmp(error, folder, strlen(folder)) == 0) {
        memmove(error, error + strlen(folder) + 1,
                strlen(error) - strlen(folder));
    }

    return status;
}

static void
includes_files_of_its_own_folder_only(void **state)
{
    (void) state;
    char error[DNS_ZONEFILE_ERROR_SIZE];
    char out[4096];
    char sub[256];

    assert_non_null(mkdtemp(folder));
    snprintf(sub, sizeof(sub), "%s/sub", folder);
    mkdir(sub, 0700);
    snprintf(sub, sizeof(sub), "%s/link", folder);
    assert_int_equal(symlink("/etc/hostname", sub), 0);

    write_file("main", "$TTL 1\n$INCLUDE sub/a x\n A 192.0.2.3\n"
                       "b A 192.0.2.4\n");
    write_file("sub/a", "a A 192.0.2.1\n$ORIGIN y\nb A 192.0.2.2\n");
    write_file("loop", "$INCLUDE loop\n");

    /* The owner and the origin of the including file go on. */
    assert_int_equal(read_main(out, sizeof(out), error), DNS_EMALFORMED);
    write_file("main", "$TTL 1\nq A 192.0.2.0\n$INCLUDE sub/a x\n"
                       " A 192.0.2.3\nb A 192.0.2.4\n");
    assert_int_equal(read_main(out, sizeof(out), error), DNS_ENOTFOUND);
    assert_string_equal(out, "q.example.test.\t1\tIN\tA\t192.0.2.0\n"
                             "a.x.example.test.\t1\tIN\tA\t192.0.2.1\n"
                             "b.y.x.example.test.\t1\tIN\tA\t192.0.2.2\n"
                             "q.example.test.\t1\tIN\tA\t192.0.2.3\n"
                             "b.example.test.\t1\tIN\tA\t192.0.2.4\n");

    static const char *const outside[] = {"/etc/hostname", "../x", "link",
                                          "sub/../../x",   "none", "sub"};

    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        char text[256];
        char expected[512];

        snprintf(text, sizeof(text), "$TTL 1\n$INCLUDE %s\n", outside[i]);
        snprintf(expected, sizeof(expected),
                 "main:2:10: expected a file that is there, in the zone "
                 "file's own folder or one that is allowed, found \"%s\"",
                 outside[i]);
        write_file("main", text);
        assert_int_equal(read_main(out, sizeof(out), error), DNS_EMALFORMED);
        assert_string_equal(error, expected);
    }

    /* A folder that the operator allows, by an absolute path too. */
    include_folder = "/etc";
    write_file("main", "$TTL 1\n$INCLUDE /etc/../etc/hostname\n");
    assert_int_equal(read_main(out, sizeof(out), error), DNS_EMALFORMED);
    assert_null(strstr(error, "a file that is there"));
    write_file("main", "$TTL 1\n$INCLUDE /usr/bin/env\n");
    assert_int_equal(read_main(out, sizeof(out), error), DNS_EMALFORMED);
    assert_non_null(strstr(error, "a file that is there"));
    include_folder = "/etc/no-such-folder";
    assert_int_equal(read_main(out, sizeof(out), error), DNS_ENOTFOUND);
    assert_string_equal(error,
                        "/etc/no-such-folder: No such file or directory");
    include_folder = NULL;

    write_file("main", "$INCLUDE loop\n");
    assert_int_equal(read_main(out, sizeof(out), error), DNS_EMALFORMED);
    assert_string_equal(error, "loop:1:10: expected at most 8 files inside "
                               "one another, found \"loop\"");

    write_file("main", "$INCLUDE sub/a\n");
    write_file("sub/a", "\nbad\n");
    assert_int_equal(read_main(out, sizeof(out), error), DNS_EMALFORMED);
    assert_string_equal(error, "sub/a:2:4: expected a TTL, a class or a type, "
                               "found the end of the line");

    remove_file("main");
    assert_int_equal(read_main(out, sizeof(out), error), DNS_ENOTFOUND);
    assert_string_equal(error, "main: No such file or directory");

    remove_file("sub/a");
    remove_file("sub");
    remove_file("loop");
    remove_file("link");
    rmdir(folder);
}

static void
reads_a_hundred_thousand_records_quickly(void **state)
{
    (void) state;
    enum { COUNT = 100000 };
    char *text = malloc(COUNT * 80);
    size_t size = 0;
    unsigned count = 0;
    dns_zonefile_t *file;
    dns_record_t record;

    assert_non_null(text);
    size += (size_t) sprintf(text, "$TTL 300\n");

    for (unsigned i = 0; i < COUNT; i++) {
        static const char *const lines[] = {
            "host%u IN A 192.0.2.%u\n", "host%u IN AAAA 2001:db8::%u\n",
            "host%u 60 IN MX %u mail.example.test.\n",
            "host%u TXT \"some text\" more%u\n"};

        size += (size_t) sprintf(text + size, lines[i % 4], i, i % 250);
    }

    clock_t from = clock();
    dns_zonefile_options_t options = {
        .text = text, .size = size, .origin = origin};

    assert_int_equal(dns_zonefile_open(&file, &options), DNS_OK);
    while (dns_zonefile_next(file, &record) == DNS_OK) {
        count++;
    }

    double seconds = (double) (clock() - from) / CLOCKS_PER_SEC;

    print_message("%u records in %.3f s\n", count, seconds);
    assert_int_equal(count, COUNT);
    assert_true(seconds < 2);
    dns_zonefile_free(file);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_rfc1035_section_5_has),
        cmocka_unit_test(reads_byte_order_marks_and_crlf),
        cmocka_unit_test(needs_no_line_end_at_the_end),
        cmocka_unit_test(reads_unknown_types_and_classes_rfc3597),
        cmocka_unit_test(decides_the_ttl_as_rfc2308_section_4),
        cmocka_unit_test(generates_records),
        cmocka_unit_test(keeps_all_256_octet_values),
        cmocka_unit_test(says_where_and_what_is_wrong),
        cmocka_unit_test(counts_a_ttl_with_the_highest_bit_as_0),
        cmocka_unit_test(includes_files_of_its_own_folder_only),
        cmocka_unit_test(reads_a_hundred_thousand_records_quickly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
