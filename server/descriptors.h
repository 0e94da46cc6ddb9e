#ifndef SERVER_DESCRIPTORS_H
#define SERVER_DESCRIPTORS_H

/*
 * Open files.  A process that has none left can accept no connection, and open
 * no file and no store.  So the limit is raised at the start, and a worker uses
 * no more connections than leave some descriptors for everything else.
 */

#include <ngx_config.h>
#include <ngx_core.h>

/* In the master, before workers are started: raises the limit of open files to
   what the connections of a worker may need, as far as the system lets it.
   worker_rlimit_nofile is left to hold. */
void dns_descriptors_raise(const ngx_cycle_t *cycle);

/* In each worker, before it connects anywhere: where the limit is too low for
   worker_connections, it has fewer. */
void dns_descriptors_bound(ngx_cycle_t *cycle);

#endif
