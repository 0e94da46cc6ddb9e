#include "dns/private/rdata_layout.h"

#include "dns/name.h"
#include "dns/octets.h"
#include "dns/type.h"

#define PLAIN(fields)                                                          \
    {                                                                          \
        fields, false, false, false                                            \
    }
#define NAMES(fields)                                                          \
    {                                                                          \
        fields, false, true, false                                             \
    }
#define TARGET(fields)                                                         \
    {                                                                          \
        fields, false, true, true                                              \
    }
#define COMPRESSED(fields)                                                     \
    {                                                                          \
        fields, true, true, false                                              \
    }
#define COMPRESSED_TARGET(fields)                                              \
    {                                                                          \
        fields, true, true, true                                               \
    }

static const rdata_layout_t opaque = PLAIN(NULL);
static const rdata_layout_t delegation_signer = PLAIN("2g1h");

static const rdata_layout_t layouts[] = {
    [DNS_TYPE_A] = PLAIN("i"),
    [DNS_TYPE_NS] = COMPRESSED_TARGET("C"),
    [DNS_TYPE_MD] = COMPRESSED_TARGET("C"),
    [DNS_TYPE_MF] = COMPRESSED_TARGET("C"),
    [DNS_TYPE_CNAME] = COMPRESSED("C"),
    [DNS_TYPE_SOA] = COMPRESSED("CC4tttt"),
    [DNS_TYPE_MB] = COMPRESSED_TARGET("C"),
    [DNS_TYPE_MG] = COMPRESSED("C"),
    [DNS_TYPE_MR] = COMPRESSED("C"),
    [DNS_TYPE_NULL] = PLAIN("."),
    [DNS_TYPE_WKS] = PLAIN("ipW"),
    [DNS_TYPE_PTR] = COMPRESSED("C"),
    [DNS_TYPE_HINFO] = PLAIN("ss"),
    [DNS_TYPE_MINFO] = COMPRESSED("CC"),
    [DNS_TYPE_MX] = COMPRESSED_TARGET("2C"),
    [DNS_TYPE_TXT] = PLAIN("S"),
    [DNS_TYPE_RP] = NAMES("DD"),
    [DNS_TYPE_AFSDB] = TARGET("2D"),
    [DNS_TYPE_X25] = PLAIN("s"),
    [DNS_TYPE_ISDN] = PLAIN("S"),
    [DNS_TYPE_RT] = TARGET("2D"),
    [DNS_TYPE_NSAP] = PLAIN("."),
    [DNS_TYPE_NSAP_PTR] = NAMES("N"),
    [DNS_TYPE_SIG] = NAMES("Tg1tee2Db"),
    [DNS_TYPE_KEY] = PLAIN("21gB"),
    [DNS_TYPE_PX] = NAMES("2DD"),
    [DNS_TYPE_GPOS] = PLAIN("sss"),
    [DNS_TYPE_AAAA] = PLAIN("I"),
    [DNS_TYPE_LOC] = PLAIN("L"),
    [DNS_TYPE_NXT] = NAMES("D."),
    [DNS_TYPE_EID] = PLAIN("."),
    [DNS_TYPE_NIMLOC] = PLAIN("."),
    [DNS_TYPE_SRV] = TARGET("222D"),
    [DNS_TYPE_ATMA] = PLAIN("."),
    [DNS_TYPE_NAPTR] = TARGET("22sssD"),
    [DNS_TYPE_KX] = TARGET("2F"),
    [DNS_TYPE_CERT] = PLAIN("k2gb"),
    [DNS_TYPE_A6] = PLAIN("."),
    [DNS_TYPE_DNAME] = NAMES("F"),
    [DNS_TYPE_SINK] = PLAIN("."),
    [DNS_TYPE_OPT] = PLAIN("."),
    [DNS_TYPE_APL] = PLAIN("A"),
    [DNS_TYPE_DS] = PLAIN("2g1h"),
    [DNS_TYPE_SSHFP] = PLAIN("11h"),
    [DNS_TYPE_IPSECKEY] = PLAIN("K"),
    [DNS_TYPE_RRSIG] = NAMES("Tg1tee2Fb"),
    [DNS_TYPE_NSEC] = NAMES("NM"),
    [DNS_TYPE_DNSKEY] = PLAIN("21gb"),
    [DNS_TYPE_DHCID] = PLAIN("b"),
    [DNS_TYPE_NSEC3] = PLAIN("112nHM"),
    [DNS_TYPE_NSEC3PARAM] = PLAIN("112n"),
    [DNS_TYPE_TLSA] = PLAIN("111h"),
    [DNS_TYPE_SMIMEA] = PLAIN("111h"),
    [DNS_TYPE_HIP] = PLAIN("U"),
    [DNS_TYPE_NINFO] = PLAIN("S"),
    [DNS_TYPE_RKEY] = PLAIN("21gb"),
    [DNS_TYPE_TALINK] = NAMES("NN"),
    [DNS_TYPE_CDS] = PLAIN("2g1h"),
    [DNS_TYPE_CDNSKEY] = PLAIN("21gb"),
    [DNS_TYPE_OPENPGPKEY] = PLAIN("b"),
    [DNS_TYPE_CSYNC] = PLAIN("42M"),
    [DNS_TYPE_ZONEMD] = PLAIN("411h"),
    [DNS_TYPE_SVCB] = TARGET("2NP"),
    [DNS_TYPE_HTTPS] = TARGET("2NP"),
    [DNS_TYPE_DSYNC] = NAMES("Ty2N"),
    [DNS_TYPE_HHIT] = PLAIN("b"),
    [DNS_TYPE_BRID] = PLAIN("b"),
    [DNS_TYPE_SPF] = PLAIN("S"),
    [DNS_TYPE_NID] = PLAIN("2x"),
    [DNS_TYPE_L32] = PLAIN("2i"),
    [DNS_TYPE_L64] = PLAIN("2x"),
    [DNS_TYPE_LP] = NAMES("2N"),
    [DNS_TYPE_EUI48] = PLAIN("6"),
    [DNS_TYPE_EUI64] = PLAIN("8"),
    [DNS_TYPE_URI] = PLAIN("22q"),
    [DNS_TYPE_CAA] = PLAIN("1cq"),
    [DNS_TYPE_AVC] = PLAIN("S"),
    [DNS_TYPE_AMTRELAY] = PLAIN("Y"),
    [DNS_TYPE_RESINFO] = PLAIN("S"),
    [DNS_TYPE_WALLET] = PLAIN("S"),
    [DNS_TYPE_CLA] = PLAIN("S"),
    [DNS_TYPE_IPN] = PLAIN("u"),
};

enum { LAYOUT_COUNT = sizeof(layouts) / sizeof(layouts[0]) };

const rdata_layout_t *
rdata_layout(uint16_t type)
{
    if (type < LAYOUT_COUNT) {
        return &layouts[type];
    }

    if (type == DNS_TYPE_TA || type == DNS_TYPE_DLV) {
        return &delegation_signer;
    }

    return &opaque;
}

/* One or more character strings fill the octets. */
static bool
check_strings(const uint8_t *octets, size_t size)
{
    size_t at = 0;

    while (at < size) {
        at += 1u + octets[at];
    }

    return at == size && size > 0;
}

/* RFC 4034 section 4.1.2: windows ascend, 1 to 32 octets, the last not 0. */
static bool
check_bitmap(const uint8_t *octets, size_t size)
{
    int window = -1;

    while (size > 0) {
        if (size < 3 || octets[0] <= window || octets[1] < 1 ||
            octets[1] > 32 || size < 2u + octets[1] ||
            octets[1u + octets[1]] == 0) {
            return false;
        }

        window = octets[0];
        size -= 2u + octets[1];
        octets += 2 + octets[1];
    }

    return true;
}

/* RFC 3123 section 4: family, prefix, N and length of the address part. */
static bool
check_apl(const uint8_t *octets, size_t size)
{
    while (size > 0) {
        if (size < 4) {
            return false;
        }

        unsigned family = get16(octets);
        unsigned length = octets[3] & 0x7f;
        unsigned bits = family == 1 ? 32 : family == 2 ? 128 : 0;

        if (size < 4 + length ||
            (bits != 0 && (octets[2] > bits || length > bits / 8)) ||
            (length > 0 && octets[3 + length] == 0)) {
            return false;
        }

        size -= 4 + length;
        octets += 4 + length;
    }

    return true;
}

/* The octets of a gateway or relay: RFC 4025 section 2.3, RFC 8777 4.2.3. */
static bool
gateway_size(unsigned kind, const uint8_t *octets, size_t size, size_t *out)
{
    switch (kind) {
    case 0:
        *out = 0;
        return true;
    case 1:
        *out = 4;
        return size >= 4;
    case 2:
        *out = 16;
        return size >= 16;
    case 3:
        return dns_name_check(octets, size, out) == DNS_OK;
    default:
        return false;
    }
}

static bool
check_ipseckey(const uint8_t *octets, size_t size)
{
    size_t gateway;

    return size >= 3 && gateway_size(octets[1], octets + 3, size - 3, &gateway);
}

static bool
check_amtrelay(const uint8_t *octets, size_t size)
{
    size_t relay;

    return size >= 2 &&
           gateway_size(octets[1] & 0x7f, octets + 2, size - 2, &relay) &&
           size == 2 + relay;
}

/* RFC 8005 section 5: HIT, public key, then rendezvous servers. */
static bool
check_hip(const uint8_t *octets, size_t size)
{
    if (size < 4 || octets[0] == 0 || get16(octets + 2) == 0) {
        return false;
    }

    size_t at = 4u + octets[0] + get16(octets + 2);

    while (at < size) {
        size_t name_size;

        if (dns_name_check(octets + at, size - at, &name_size) != DNS_OK) {
            return false;
        }

        at += name_size;
    }

    return at == size;
}

/* A latitude or longitude: thousandths of a second around 2^31. */
static bool
is_angle(const uint8_t *octets, uint32_t degrees)
{
    const uint32_t middle = 1u << 31;
    uint32_t angle = get32(octets);
    uint32_t distance = angle > middle ? angle - middle : middle - angle;

    return distance <= degrees * 3600000u;
}

/* RFC 1876 section 2: version 0, sizes with digits from 0 to 9. */
static bool
check_loc(const uint8_t *octets, size_t size)
{
    if (size != 16 || octets[0] != 0) {
        return false;
    }

    for (int i = 1; i < 4; i++) {
        if (octets[i] >> 4 > 9 || (octets[i] & 15) > 9) {
            return false;
        }
    }

    return is_angle(octets + 4, 90) && is_angle(octets + 8, 180);
}

/* A field that takes all the octets that are left. */
static bool
check_rest(char field, const uint8_t *octets, size_t size)
{
    switch (field) {
    case 'h':
    case 'b':
    case 'q':
        return size > 0 || field == 'q';
    case 'S':
        return check_strings(octets, size);
    case 'M':
        return check_bitmap(octets, size);
    case 'P':
        return rdata_check_parameters(octets, size);
    case 'W':
        return size <= 65536 / 8;
    case 'A':
        return check_apl(octets, size);
    case 'K':
        return check_ipseckey(octets, size);
    case 'L':
        return check_loc(octets, size);
    case 'U':
        return check_hip(octets, size);
    case 'Y':
        return check_amtrelay(octets, size);
    default:
        return field == '.' || field == 'B';
    }
}

/* Octets of the integers and addresses; 0 for every other field. */
static size_t
fixed_size(char field)
{
    switch (field) {
    case '1':
    case 'g':
    case 'y':
    case 'p':
        return 1;
    case '2':
    case 'T':
    case 'k':
        return 2;
    case '4':
    case 't':
    case 'e':
    case 'i':
        return 4;
    case '6':
        return 6;
    case '8':
    case 'u':
    case 'x':
        return 8;
    case 'I':
        return 16;
    default:
        return 0;
    }
}

/* Octets behind an octet with their number. */
static bool
counted_size(const uint8_t *octets, size_t size, size_t *field_size)
{
    if (size == 0) {
        return false;
    }

    *field_size = 1u + octets[0];
    return *field_size <= size;
}

/* RFC 8659 section 4.1: letters and digits, at least one. */
static bool
is_tag(const uint8_t *octets)
{
    for (unsigned i = 1; i <= octets[0]; i++) {
        uint8_t c = lower(octets[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) {
            return false;
        }
    }

    return octets[0] > 0;
}

bool
rdata_field_size(char field, const uint8_t *octets, size_t size,
                 size_t *field_size)
{
    *field_size = fixed_size(field);

    if (*field_size != 0) {
        return *field_size <= size;
    }

    switch (field) {
    case 'C':
    case 'D':
    case 'F':
    case 'N':
        return dns_name_check(octets, size, field_size) == DNS_OK;
    case 's':
    case 'n':
        return counted_size(octets, size, field_size);
    case 'H':
        return counted_size(octets, size, field_size) && octets[0] > 0;
    case 'c':
        return counted_size(octets, size, field_size) && is_tag(octets);
    default:
        *field_size = size;
        return check_rest(field, octets, size);
    }
}
