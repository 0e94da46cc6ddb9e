#ifndef DNS_SOURCE_H
#define DNS_SOURCE_H

/*
 * Where the answer engine gets zones and nodes from: a table of operations
 * that each store fills in.  The engine never does I/O: an operation that
 * can't answer at once returns DNS_NEEDS, the engine notes the name, and the
 * caller fetches it and asks the engine again.
 *
 * What an operation gives is borrowed until the caller ends the look-up (for
 * LMDB the read transaction, for a set of fetched nodes the set).
 */

#include <stdint.h>

#include "dns/name.h"
#include "dns/node.h"
#include "dns/status.h"

/* One zone, as a source finds it. */
typedef struct {
    dns_name_t apex;     /* lower case */
    uint32_t id;         /* the source's own number for it */
    uint32_t flags;      /* DNS_ZONE_* */
    uint64_t generation; /* rises with every change of the zone */
} dns_zone_t;

/* What a zone surely does not have, so that the engine need not look. */
enum {
    DNS_ZONE_NO_CUTS = 1 << 0,      /* no NS below the apex, no DNAME */
    DNS_ZONE_NO_WILDCARDS = 1 << 1, /* no owner name with a "*" label first */
};

typedef enum {
    DNS_LOOKUP_NODE,   /* the name owns records: node is set */
    DNS_LOOKUP_EMPTY,  /* an empty non-terminal: it has only descendants */
    DNS_LOOKUP_ABSENT, /* no such name: see encloser_labels */
} dns_lookup_kind_t;

typedef struct {
    dns_lookup_kind_t kind;
    uint8_t encloser_labels; /* labels (without root) of the closest encloser;
                                of the name itself unless ABSENT */
    dns_node_t node;
} dns_lookup_t;

typedef struct {
    /*
     * The deepest zone that holds name: out is filled.  DNS_ENOTFOUND: none,
     * and what out holds then means nothing.
     * above: only zones whose apex has fewer than this many labels (DS is
     * asked of the parent, RFC 4035 section 3.1.4.1); 256 for any.
     */
    dns_status_t (*find_zone)(void *source, const dns_name_t *name,
                              unsigned above, dns_zone_t *out);

    /* Looks up a name at or below the zone's apex (lower case). */
    dns_status_t (*lookup)(void *source, const dns_zone_t *zone,
                           const dns_name_t *name, dns_lookup_t *out);

    /*
     * The last owner at or before name in canonical order that has a set of
     * the type (NSEC or NSEC3), or, if there is none, the last one of the zone
     * (RFC 4034 section 4.1.1: the chain is closed).  DNS_ENOTFOUND: the zone
     * has none.  DNS_NEEDS: owner is the name whose node is needed, or with
     * size 0 the order of the zone's names is.  NULL: the store cannot tell;
     * answers then come without proof of what does not exist.
     */
    dns_status_t (*find_covering)(void *source, const dns_zone_t *zone,
                                  const dns_name_t *name, uint16_t type,
                                  dns_name_t *owner, dns_node_t *node);

    /*
     * Labels of name's closest encloser, of name itself if it exists, as far
     * as the source can say without asking: it decides how many names are
     * asked for at once, not the answer.  0: it cannot say.  NULL: it never
     * can.
     */
    unsigned (*guess_encloser)(void *source, const dns_zone_t *zone,
                               const dns_name_t *name);
} dns_source_ops_t;

typedef struct {
    const dns_source_ops_t *ops; /* borrowed */
    void *data;                  /* borrowed: the store's own */
} dns_source_t;

#endif
