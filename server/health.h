#ifndef SERVER_HEALTH_H
#define SERVER_HEALTH_H

/*
 * Which backends and upstreams count as failed, for all workers: where
 * dns_serve_stale is on, kept answers are then given at once, and one question
 * at a time checks in the background whether the source is back (RFC 8767
 * section 5).  A source is a number; 0: none.
 */

#include <ngx_config.h>
#include <ngx_core.h>

enum { DNS_HEALTH_SIZE = 4096 }; /* octets of shared memory, zeroed */

/* In each worker.  NULL: nothing ever counts as failed. */
void dns_health_open(void *block);

ngx_uint_t dns_health_is_failed(uint32_t source);

/* It has not answered: it counts as failed for 30 seconds. */
void dns_health_fail(uint32_t source);

/* It has answered. */
void dns_health_work(uint32_t source);

/* Is it the caller's turn to check?  He says when he has. */
ngx_uint_t dns_health_begin_check(uint32_t source);
void dns_health_end_check(uint32_t source);

#endif
