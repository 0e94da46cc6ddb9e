#ifndef DNS_STATUS_H
#define DNS_STATUS_H

/*
 * Every dns/ and store/ function that can fail returns one of these.  A call
 * that fails has changed nothing that it was given, unless its header says
 * what.
 */

#define DNS_MUST_USE __attribute__((warn_unused_result))
#define DNS_EXPORT   __attribute__((visibility("default")))

typedef enum {
    DNS_OK = 0,
    DNS_ENOSPACE = -1,   /* the output is full; nothing was written */
    DNS_EMALFORMED = -2, /* the input breaks its format */
    DNS_ENOTFOUND = -3,  /* there is no such zone, name or record set */
    DNS_ENOMEM = -4,     /* memory is used up */
    DNS_EEXIST = -5,     /* it is there already */
    DNS_ECONFLICT = -6,  /* CNAME beside other data, and the like */
    DNS_ESTORE = -7,     /* the store failed: disk, lock, format, server */
    DNS_ELIMIT = -8,     /* over a stated bound */
    DNS_EUNKNOWN = -9,   /* no such type, class or mnemonic */
    DNS_NEEDS = 1,       /* names have to be fetched first; then ask again */
} dns_status_t;

/* A short English sentence without full stop, static. */
const char *dns_status_text(dns_status_t status);

#endif
