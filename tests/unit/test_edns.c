#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <string.h>

#include "dns/edns.h"
#include "dns/siphash.h"

static void
hashes_as_the_siphash_paper(void **state)
{
    (void) state;
    uint8_t key[16];
    uint8_t octets[15];

    for (uint8_t i = 0; i < 16; i++) {
        key[i] = i;
        if (i < 15) {
            octets[i] = i;
        }
    }

    assert_int_equal(dns_siphash(key, octets, 15), 0xa129ca6149be45e5u);
    assert_int_equal(dns_siphash(key, octets, 0), 0x726fdb47dd0e0e31u);
}

static void
check_cookie(const char *secret, const char *address, uint32_t now,
             const char *cookie)
{
    uint8_t octets[16];
    int family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
    uint8_t made[DNS_COOKIE_SIZE];

    assert_int_equal(inet_pton(family, address, octets), 1);

    dns_cookie_context_t context = {.secret = (const uint8_t *) secret,
                                    .address = octets,
                                    .address_size = family == AF_INET ? 4 : 16,
                                    .now = now};

    dns_cookie_make(&context, (const uint8_t *) cookie, made);
    assert_memory_equal(made, cookie, DNS_COOKIE_SIZE);
    assert_int_equal(dns_cookie_check(&context, made, sizeof(made)),
                     DNS_COOKIE_GOOD);

    context.now = now + 3600;
    assert_int_equal(dns_cookie_check(&context, made, sizeof(made)),
                     DNS_COOKIE_GOOD);
    context.now = now + 3601;
    assert_int_equal(dns_cookie_check(&context, made, sizeof(made)),
                     DNS_COOKIE_BAD);
    context.now = now - 300;
    assert_int_equal(dns_cookie_check(&context, made, sizeof(made)),
                     DNS_COOKIE_GOOD);
    context.now = now - 301;
    assert_int_equal(dns_cookie_check(&context, made, sizeof(made)),
                     DNS_COOKIE_BAD);

    context.now = now;
    octets[3] ^= 1;
    assert_int_equal(dns_cookie_check(&context, made, sizeof(made)),
                     DNS_COOKIE_BAD);
}

static void
makes_the_cookies_of_rfc9018_appendix_a(void **state)
{
    (void) state;
    static const char secret[] = "\xe5\xe9\x73\xe5\xa6\xb2\xa4\x3f"
                                 "\x48\xe7\xdc\x84\x9e\x37\xbf\xcf";
    static const char rolled[] = "\x44\x55\x36\xbc\xd2\x51\x32\x98"
                                 "\x07\x5a\x5d\x37\x96\x63\xc9\x62";

    check_cookie(secret, "198.51.100.100", 1559731985,
                 "\x24\x64\xc4\xab\xcf\x10\xc9\x57"
                 "\x01\x00\x00\x00\x5c\xf7\x9f\x11"
                 "\x1f\x81\x30\xc3\xee\xe2\x94\x80");
    check_cookie(secret, "198.51.100.100", 1559734385,
                 "\x24\x64\xc4\xab\xcf\x10\xc9\x57"
                 "\x01\x00\x00\x00\x5c\xf7\xa8\x71"
                 "\xd4\xa5\x64\xa1\x44\x2a\xca\x77");
    check_cookie(secret, "203.0.113.203", 1559734700,
                 "\xfc\x93\xfc\x62\x80\x7d\xdb\x86"
                 "\x01\x00\x00\x00\x5c\xf7\xa9\xac"
                 "\xf7\x3a\x78\x10\xac\xa2\x38\x1e");
    check_cookie(rolled, "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961,
                 "\x22\x68\x1a\xb9\x7d\x52\xc2\x98"
                 "\x01\x00\x00\x00\x5c\xf7\xc6\x09"
                 "\xa6\xbb\x79\xd1\x66\x25\x50\x7a");
}

/* A.3: the reserved octets are hashed as they came. */
static void
takes_reserved_octets_as_they_are(void **state)
{
    (void) state;
    dns_cookie_context_t context = {
        .secret = (const uint8_t *) "\xe5\xe9\x73\xe5\xa6\xb2\xa4\x3f"
                                    "\x48\xe7\xdc\x84\x9e\x37\xbf\xcf",
        .address = (const uint8_t *) "\xcb\x00\x71\xcb",
        .address_size = 4,
        .now = 1559727985};
    uint8_t cookie[] = "\xfc\x93\xfc\x62\x80\x7d\xdb\x86"
                       "\x01\xab\xcd\xef\x5c\xf7\x8f\x71"
                       "\xa3\x14\x22\x7b\x66\x79\xeb\xf5";

    assert_int_equal(dns_cookie_check(&context, cookie, 24), DNS_COOKIE_GOOD);
    cookie[10] ^= 1;
    assert_int_equal(dns_cookie_check(&context, cookie, 24), DNS_COOKIE_BAD);
}

static void
judges_cookies_by_their_size_rfc7873_section_5_2(void **state)
{
    (void) state;
    static const uint8_t secret[16];
    static const uint8_t address[4];
    static const uint8_t data[64];
    dns_cookie_context_t context = {
        .secret = secret, .address = address, .address_size = 4};

    assert_int_equal(dns_cookie_check(&context, NULL, 0), DNS_COOKIE_ABSENT);
    assert_int_equal(dns_cookie_check(&context, data, 7), DNS_COOKIE_ABSENT);
    assert_int_equal(dns_cookie_check(&context, data, 8),
                     DNS_COOKIE_CLIENT_ONLY);
    assert_int_equal(dns_cookie_check(&context, data, 15), DNS_COOKIE_ABSENT);
    assert_int_equal(dns_cookie_check(&context, data, 16), DNS_COOKIE_BAD);
    assert_int_equal(dns_cookie_check(&context, data, 24), DNS_COOKIE_BAD);
    assert_int_equal(dns_cookie_check(&context, data, 40), DNS_COOKIE_BAD);
    assert_int_equal(dns_cookie_check(&context, data, 41), DNS_COOKIE_ABSENT);
}

static void
builds_options_that_are_found_again(void **state)
{
    (void) state;
    uint8_t octets[64];
    dns_options_t o = {.octets = octets, .room = sizeof(octets)};
    dns_option_t option;

    assert_int_equal(dns_options_put(&o, DNS_OPTION_NSID, "ns1", 3), DNS_OK);
    assert_int_equal(
        dns_options_put_extended_error(&o, DNS_EDE_PROHIBITED, "no"), DNS_OK);
    assert_int_equal(dns_options_put_keepalive(&o, 12345), DNS_OK);
    assert_int_equal(dns_options_put_keepalive(&o, 99999999), DNS_OK);
    assert_memory_equal(octets,
                        "\0\3\0\3ns1"
                        "\0\17\0\4\0\22no"
                        "\0\13\0\2\0\173"
                        "\0\13\0\2\377\377",
                        o.size);
    assert_int_equal(o.size, 27);

    assert_true(
        dns_option_find(octets, o.size, DNS_OPTION_EXTENDED_ERROR, &option));
    assert_int_equal(option.size, 4);
    assert_false(dns_option_find(octets, o.size, DNS_OPTION_COOKIE, &option));

    /* Cut short: the option that is not whole is not given. */
    assert_false(dns_option_find(octets, 6, DNS_OPTION_NSID, &option));
    assert_false(dns_option_find(octets, 3, DNS_OPTION_NSID, &option));
    assert_false(dns_option_find(octets, 0, DNS_OPTION_NSID, &option));

    o.room = o.size + 5;
    assert_int_equal(dns_options_put(&o, 1, "ab", 2), DNS_ENOSPACE);
    assert_int_equal(o.size, 27);
    assert_int_equal(dns_options_put(&o, 1, "a", 1), DNS_OK);
}

/* RFC 8467 section 4.1. */
static void
pads_to_blocks_within_the_limit(void **state)
{
    (void) state;
    uint8_t octets[600];

    for (size_t size = 12; size < 1000; size++) {
        dns_options_t o = {.octets = octets, .room = sizeof(octets)};

        assert_int_equal(dns_options_put_padding(&o, size, 468, 65535), DNS_OK);
        assert_int_equal((size + o.size) % 468, 0);
        assert_in_range(o.size, 4, 471);
    }

    dns_options_t o = {.octets = octets, .room = sizeof(octets)};

    assert_int_equal(dns_options_put_padding(&o, 100, 468, 512), DNS_OK);
    assert_int_equal(o.size, 368);
    o.size = 0;
    assert_int_equal(dns_options_put_padding(&o, 500, 468, 512), DNS_OK);
    assert_int_equal(o.size, 12);
    assert_int_equal(dns_options_put_padding(&o, 510, 468, 512), DNS_ENOSPACE);
    assert_int_equal(o.size, 12);
}

/* RFC 7871 section 6. */
static void
parses_client_subnets(void **state)
{
    (void) state;
    dns_subnet_t subnet;
    uint8_t octets[32];
    dns_options_t o = {.octets = octets, .room = sizeof(octets)};

    assert_int_equal(
        dns_subnet_parse(&subnet, (const uint8_t *) "\0\1\25\0\xc0\0\x08", 7),
        DNS_OK);
    assert_int_equal(subnet.family, 4);
    assert_int_equal(subnet.source_prefix, 21);
    assert_memory_equal(subnet.address, "\xc0\0\x08\0", 4);
    assert_int_equal(dns_options_put_subnet(&o, &subnet), DNS_OK);
    assert_memory_equal(octets, "\0\10\0\7\0\1\25\0\xc0\0\x08", 11);

    static const struct {
        const char *data;
        size_t size;
    } wrong[] = {
        {"\0\1\25", 3},               /* cut short */
        {"\0\1\25\0\xc0\0", 6},       /* an octet too few */
        {"\0\1\25\0\xc0\0\x08\0", 8}, /* an octet too many */
        {"\0\1\25\0\xc0\0\x04", 7},   /* a bit behind the prefix */
        {"\0\1\41\0\1\2\3\4\0", 9},   /* 33 bits of IPv4 */
        {"\0\3\10\0\1", 5},           /* an unknown family */
        {"\0\0\10\0\1", 5},           /* an address of no family */
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(dns_subnet_parse(&subnet,
                                          (const uint8_t *) wrong[i].data,
                                          wrong[i].size),
                         DNS_EMALFORMED);
    }

    assert_int_equal(dns_subnet_parse(&subnet, (const uint8_t *) "\0\0\0\0", 4),
                     DNS_OK);
    assert_int_equal(subnet.family, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_as_the_siphash_paper),
        cmocka_unit_test(makes_the_cookies_of_rfc9018_appendix_a),
        cmocka_unit_test(takes_reserved_octets_as_they_are),
        cmocka_unit_test(judges_cookies_by_their_size_rfc7873_section_5_2),
        cmocka_unit_test(builds_options_that_are_found_again),
        cmocka_unit_test(pads_to_blocks_within_the_limit),
        cmocka_unit_test(parses_client_subnets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
