#ifndef STORE_PRIVATE_PARKED_H
#define STORE_PRIVATE_PARKED_H

/* Parked records as stores without a table for them keep them: all of a zone in
   one text.
 *
 *     [{"name":"www.example.test.","type":"A","ttl":300,"data":"192.0.2.1"},
 *      {"name":"app.example.test.","type":"ALIAS","ttl":300,"disabled":false,
 *       "data":"lb.example.net."}]
 */

#include "dns/type.h"
#include "store/parked.h"
#include "store/private/edit.h"

/* What Redis calls the field: not a domain name, since its escape has no end.
 */
#define STORE_PARKED_FIELD "parked\\"

/* Adds a text's records to nodes, sorted; what is not a record is left out. */
DNS_MUST_USE dns_status_t store_parked_read(const char *text, size_t size,
                                            store_nodes_t *nodes);

/* *out: owned by the caller, free(); NULL: there are none. */
DNS_MUST_USE dns_status_t store_parked_write(const store_nodes_t *nodes,
                                             char **out);

/* Makes the changes of edit->parked to sorted nodes, which are sorted behind
   it; the node of an owner whose records are gone is empty.  error as commit
   has it. */
DNS_MUST_USE dns_status_t store_parked_apply(store_edit_t *edit,
                                             store_nodes_t *nodes,
                                             bool *is_changed, char *error);

/* As records are written and read: CNAME for both kinds of ALIAS. */
static inline uint16_t
store_parked_text_type(uint16_t type)
{
    return type == STORE_TYPE_ALIAS || type == STORE_TYPE_DISABLED_ALIAS
               ? DNS_TYPE_CNAME
               : type;
}

#endif
