#ifndef DNS_CONFLICT_H
#define DNS_CONFLICT_H

/*
 * Record sets that may not stand at one name.  An edit that would make such a
 * name is refused; where a database has one, a set is left out, by the same
 * rule whoever reads it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dns/name.h"
#include "dns/node.h"
#include "dns/type.h"

typedef struct {
    uint16_t type;      /* what is left out, */
    const char *reason; /* static: and why */
    bool keeps_first;   /* the first record of the set stays */
} dns_conflict_t;

/* false: there is none.  is_apex: of the zone. */
bool dns_conflict_find(const dns_node_t *node, bool is_apex,
                       dns_conflict_t *out);

/* Leaves one out; to be called as long as there are any.  false: there was
   none. */
bool dns_conflict_remove(dns_node_builder_t *b, bool is_apex,
                         dns_conflict_t *out);

enum { DNS_CONFLICT_TEXT_SIZE = DNS_NAME_TEXT_SIZE + DNS_MNEMONIC_SIZE };

/* "NAME TYPE": what is left out, for messages; DNS_CONFLICT_TEXT_SIZE bytes. */
DNS_EXPORT void dns_conflict_text(char *out, const dns_name_t *name,
                                  const dns_conflict_t *conflict);

#endif
