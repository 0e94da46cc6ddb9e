#ifndef DNS_TYPE_H
#define DNS_TYPE_H

/*
 * The numbers of the protocol and their mnemonics: record types, classes,
 * response codes and opcodes (the IANA registry "Domain Name System
 * Parameters").  Types and classes without a mnemonic are written TYPE123 and
 * CLASS123 (RFC 3597 section 5); both forms are read for every number, in any
 * letter case.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"

/* X(identifier, number, mnemonic), in ascending order of number. */
/* clang-format off */
#define DNS_TYPE_LIST(X)                                                       \
    X(A, 1, "A")                                     /* RFC 1035 */            \
    X(NS, 2, "NS")                                   /* RFC 1035 */            \
    X(MD, 3, "MD")                                   /* RFC 1035, obsolete */  \
    X(MF, 4, "MF")                                   /* RFC 1035, obsolete */  \
    X(CNAME, 5, "CNAME")                             /* RFC 1035 */            \
    X(SOA, 6, "SOA")                                 /* RFC 1035 */            \
    X(MB, 7, "MB")                                   /* RFC 1035 */            \
    X(MG, 8, "MG")                                   /* RFC 1035 */            \
    X(MR, 9, "MR")                                   /* RFC 1035 */            \
    X(NULL, 10, "NULL")                              /* RFC 1035 */            \
    X(WKS, 11, "WKS")                                /* RFC 1035 */            \
    X(PTR, 12, "PTR")                                /* RFC 1035 */            \
    X(HINFO, 13, "HINFO")                            /* RFC 1035, 8482 */      \
    X(MINFO, 14, "MINFO")                            /* RFC 1035 */            \
    X(MX, 15, "MX")                                  /* RFC 1035 */            \
    X(TXT, 16, "TXT")                                /* RFC 1035 */            \
    X(RP, 17, "RP")                                  /* RFC 1183 */            \
    X(AFSDB, 18, "AFSDB")                            /* RFC 1183 */            \
    X(X25, 19, "X25")                                /* RFC 1183 */            \
    X(ISDN, 20, "ISDN")                              /* RFC 1183 */            \
    X(RT, 21, "RT")                                  /* RFC 1183 */            \
    X(NSAP, 22, "NSAP")                              /* RFC 1706 */            \
    X(NSAP_PTR, 23, "NSAP-PTR")                      /* RFC 1348 */            \
    X(SIG, 24, "SIG")                                /* RFC 2931 */            \
    X(KEY, 25, "KEY")                                /* RFC 3445 */            \
    X(PX, 26, "PX")                                  /* RFC 2163 */            \
    X(GPOS, 27, "GPOS")                              /* RFC 1712 */            \
    X(AAAA, 28, "AAAA")                              /* RFC 3596 */            \
    X(LOC, 29, "LOC")                                /* RFC 1876 */            \
    X(NXT, 30, "NXT")                                /* RFC 2535, obsolete */  \
    X(EID, 31, "EID")                                /* Nimrod DNS draft */    \
    X(NIMLOC, 32, "NIMLOC")                          /* Nimrod DNS draft */    \
    X(SRV, 33, "SRV")                                /* RFC 2782 */            \
    X(ATMA, 34, "ATMA")                              /* af-dans-0152.000 */    \
    X(NAPTR, 35, "NAPTR")                            /* RFC 3403 */            \
    X(KX, 36, "KX")                                  /* RFC 2230 */            \
    X(CERT, 37, "CERT")                              /* RFC 4398 */            \
    X(A6, 38, "A6")                                  /* RFC 6563, historic */  \
    X(DNAME, 39, "DNAME")                            /* RFC 6672 */            \
    X(SINK, 40, "SINK")                              /* kitchen sink draft */  \
    X(OPT, 41, "OPT")                                /* RFC 6891 */            \
    X(APL, 42, "APL")                                /* RFC 3123 */            \
    X(DS, 43, "DS")                                  /* RFC 4034 */            \
    X(SSHFP, 44, "SSHFP")                            /* RFC 4255 */            \
    X(IPSECKEY, 45, "IPSECKEY")                      /* RFC 4025 */            \
    X(RRSIG, 46, "RRSIG")                            /* RFC 4034 */            \
    X(NSEC, 47, "NSEC")                              /* RFC 4034 */            \
    X(DNSKEY, 48, "DNSKEY")                          /* RFC 4034 */            \
    X(DHCID, 49, "DHCID")                            /* RFC 4701 */            \
    X(NSEC3, 50, "NSEC3")                            /* RFC 5155 */            \
    X(NSEC3PARAM, 51, "NSEC3PARAM")                  /* RFC 5155 */            \
    X(TLSA, 52, "TLSA")                              /* RFC 6698 */            \
    X(SMIMEA, 53, "SMIMEA")                          /* RFC 8162 */            \
    X(HIP, 55, "HIP")                                /* RFC 8005 */            \
    X(NINFO, 56, "NINFO")                            /* zone status draft */   \
    X(RKEY, 57, "RKEY")                              /* NAPTR keys draft */    \
    X(TALINK, 58, "TALINK")                          /* trust history draft */ \
    X(CDS, 59, "CDS")                                /* RFC 7344 */            \
    X(CDNSKEY, 60, "CDNSKEY")                        /* RFC 7344 */            \
    X(OPENPGPKEY, 61, "OPENPGPKEY")                  /* RFC 7929 */            \
    X(CSYNC, 62, "CSYNC")                            /* RFC 7477 */            \
    X(ZONEMD, 63, "ZONEMD")                          /* RFC 8976 */            \
    X(SVCB, 64, "SVCB")                              /* RFC 9460 */            \
    X(HTTPS, 65, "HTTPS")                            /* RFC 9460 */            \
    X(DSYNC, 66, "DSYNC")                            /* RFC 9859 */            \
    X(HHIT, 67, "HHIT")                              /* RFC 9886 */            \
    X(BRID, 68, "BRID")                              /* RFC 9886 */            \
    X(SPF, 99, "SPF")                                /* RFC 7208 */            \
    X(UINFO, 100, "UINFO")                           /* IANA, reserved */      \
    X(UID, 101, "UID")                               /* IANA, reserved */      \
    X(GID, 102, "GID")                               /* IANA, reserved */      \
    X(UNSPEC, 103, "UNSPEC")                         /* IANA, reserved */      \
    X(NID, 104, "NID")                               /* RFC 6742 */            \
    X(L32, 105, "L32")                               /* RFC 6742 */            \
    X(L64, 106, "L64")                               /* RFC 6742 */            \
    X(LP, 107, "LP")                                 /* RFC 6742 */            \
    X(EUI48, 108, "EUI48")                           /* RFC 7043 */            \
    X(EUI64, 109, "EUI64")                           /* RFC 7043 */            \
    X(NXNAME, 128, "NXNAME")                         /* RFC 9824 */            \
    X(TKEY, 249, "TKEY")                             /* RFC 2930 */            \
    X(TSIG, 250, "TSIG")                             /* RFC 8945 */            \
    X(IXFR, 251, "IXFR")                             /* RFC 1995 */            \
    X(AXFR, 252, "AXFR")                             /* RFC 5936 */            \
    X(MAILB, 253, "MAILB")                           /* RFC 1035 */            \
    X(MAILA, 254, "MAILA")                           /* RFC 1035, obsolete */  \
    X(ANY, 255, "ANY")                               /* RFC 1035, 8482 */      \
    X(URI, 256, "URI")                               /* RFC 7553 */            \
    X(CAA, 257, "CAA")                               /* RFC 8659 */            \
    X(AVC, 258, "AVC")                               /* IANA */                \
    X(DOA, 259, "DOA")                               /* DOA draft */           \
    X(AMTRELAY, 260, "AMTRELAY")                     /* RFC 8777 */            \
    X(RESINFO, 261, "RESINFO")                       /* RFC 9606 */            \
    X(WALLET, 262, "WALLET")                         /* IANA */                \
    X(CLA, 263, "CLA")                               /* IPN draft */           \
    X(IPN, 264, "IPN")                               /* IPN draft */           \
    X(TA, 32768, "TA")                               /* trust anchors, IANA */ \
    X(DLV, 32769, "DLV")                             /* RFC 8749, obsolete */

/* clang-format on */

#define DNS_TYPE_CONSTANT(identifier, number, text)                            \
    DNS_TYPE_##identifier = (number),
typedef enum { DNS_TYPE_LIST(DNS_TYPE_CONSTANT) } dns_type_t;
#undef DNS_TYPE_CONSTANT

typedef enum {
    DNS_CLASS_IN = 1,     /* RFC 1035 */
    DNS_CLASS_CH = 3,     /* RFC 1035 */
    DNS_CLASS_HS = 4,     /* RFC 1035 */
    DNS_CLASS_NONE = 254, /* RFC 2136 */
    DNS_CLASS_ANY = 255,  /* RFC 1035 */
} dns_class_t;

typedef enum {
    DNS_RCODE_NOERROR = 0,    /* RFC 1035 */
    DNS_RCODE_FORMERR = 1,    /* RFC 1035 */
    DNS_RCODE_SERVFAIL = 2,   /* RFC 1035 */
    DNS_RCODE_NXDOMAIN = 3,   /* RFC 1035 */
    DNS_RCODE_NOTIMP = 4,     /* RFC 1035 */
    DNS_RCODE_REFUSED = 5,    /* RFC 1035 */
    DNS_RCODE_YXDOMAIN = 6,   /* RFC 2136, 6672 */
    DNS_RCODE_YXRRSET = 7,    /* RFC 2136 */
    DNS_RCODE_NXRRSET = 8,    /* RFC 2136 */
    DNS_RCODE_NOTAUTH = 9,    /* RFC 2136, 8945 */
    DNS_RCODE_NOTZONE = 10,   /* RFC 2136 */
    DNS_RCODE_BADVERS = 16,   /* RFC 6891; BADSIG in a TSIG, RFC 8945 */
    DNS_RCODE_BADKEY = 17,    /* RFC 8945 */
    DNS_RCODE_BADTIME = 18,   /* RFC 8945 */
    DNS_RCODE_BADMODE = 19,   /* RFC 2930 */
    DNS_RCODE_BADNAME = 20,   /* RFC 2930 */
    DNS_RCODE_BADALG = 21,    /* RFC 2930 */
    DNS_RCODE_BADTRUNC = 22,  /* RFC 8945 */
    DNS_RCODE_BADCOOKIE = 23, /* RFC 7873 */
} dns_rcode_t;

typedef enum {
    DNS_OPCODE_QUERY = 0,  /* RFC 1035 */
    DNS_OPCODE_IQUERY = 1, /* RFC 3425, obsolete */
    DNS_OPCODE_STATUS = 2, /* RFC 1035 */
    DNS_OPCODE_NOTIFY = 4, /* RFC 1996 */
    DNS_OPCODE_UPDATE = 5, /* RFC 2136 */
    DNS_OPCODE_DSO = 6,    /* RFC 8490 */
} dns_opcode_t;

/* The header's second 16 bits (RFC 1035 section 4.1.1, RFC 4035). */
enum {
    DNS_FLAG_QR = 0x8000, /* a response */
    DNS_FLAG_AA = 0x0400, /* authoritative answer */
    DNS_FLAG_TC = 0x0200, /* truncated */
    DNS_FLAG_RD = 0x0100, /* recursion desired */
    DNS_FLAG_RA = 0x0080, /* recursion available */
    DNS_FLAG_Z = 0x0040,  /* must be zero */
    DNS_FLAG_AD = 0x0020, /* authentic data */
    DNS_FLAG_CD = 0x0010, /* checking disabled */
    DNS_OPCODE_SHIFT = 11,
    DNS_OPCODE_MASK = 0x7800,
    DNS_RCODE_MASK = 0x000f,
};

/* Offsets in the header, and its size (RFC 1035 section 4.1.1). */
enum {
    DNS_HEADER_ID_AT = 0,
    DNS_HEADER_FLAGS_AT = 2,
    DNS_HEADER_QDCOUNT_AT = 4,
    DNS_HEADER_ANCOUNT_AT = 6,
    DNS_HEADER_NSCOUNT_AT = 8,
    DNS_HEADER_ARCOUNT_AT = 10,
    DNS_HEADER_SIZE = 12, /* octets */
};

static inline unsigned
dns_flags_opcode(uint16_t flags)
{
    return ((unsigned) flags & DNS_OPCODE_MASK) >> DNS_OPCODE_SHIFT;
}

enum { DNS_MNEMONIC_SIZE = 16 }; /* bytes of the longest text and its NUL */

/*
 * The mnemonic or TYPE123; CLASS123, RCODE123, OPCODE123 likewise.  out has
 * room for DNS_MNEMONIC_SIZE bytes; gives the length without the NUL.
 */
size_t dns_type_to_text(char *out, uint16_t type);
size_t dns_class_to_text(char *out, uint16_t class_);
size_t dns_rcode_to_text(char *out, unsigned rcode);
size_t dns_opcode_to_text(char *out, unsigned opcode);

/* The inverse, size bytes of text.  DNS_EUNKNOWN: neither form. */
DNS_EXPORT DNS_MUST_USE dns_status_t dns_type_from_text(uint16_t *out,
                                                        const char *text,
                                                        size_t size);
DNS_MUST_USE dns_status_t dns_class_from_text(uint16_t *out, const char *text,
                                              size_t size);
DNS_MUST_USE dns_status_t dns_rcode_from_text(uint16_t *out, const char *text,
                                              size_t size);
DNS_MUST_USE dns_status_t dns_opcode_from_text(uint16_t *out, const char *text,
                                               size_t size);

/*
 * A type that no zone may hold: 0, OPT, and the query and meta types 128 to
 * 255 (RFC 6895 section 3.1).
 */
static inline bool
dns_type_is_meta(uint16_t type)
{
    return type == 0 || type == DNS_TYPE_OPT || (type >= 128 && type <= 255);
}

#endif
