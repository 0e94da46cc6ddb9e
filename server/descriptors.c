#include "server/descriptors.h"

#include <ngx_event.h>

#include <dirent.h>
#include <sys/resource.h>

enum {
    PER_CONNECTION = 2, /* itself, and a file that goes with it: a body, what
                           is sent */
    OTHERS = 512,       /* wanted for stores, logs, listeners, scripts */
    OTHERS_SHARE = 8,   /* of a limit that is too low, this part is theirs */
    OTHERS_MIN = 32,
    CONNECTIONS_MIN = 16, /* beside the listeners: a worker does something */
};


static const ngx_core_conf_t *
core_conf(const ngx_cycle_t *cycle)
{
    return (const ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                                  ngx_core_module);
}


void
dns_descriptors_raise(const ngx_cycle_t *cycle)
{
    struct rlimit limit;
    const rlim_t wanted =
        PER_CONNECTION * (rlim_t) cycle->connection_n + OTHERS;
    if (core_conf(cycle)->rlimit_nofile != NGX_CONF_UNSET ||
        getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= wanted) {
        return;
    }
    const rlim_t hard = limit.rlim_max;
    limit.rlim_cur = wanted;
    limit.rlim_max = ngx_max(hard, wanted);
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0) {
        return;
    }
    limit.rlim_cur = limit.rlim_max = hard; /* nobody may go over it but root */
    if (setrlimit(RLIMIT_NOFILE, &limit) == -1) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                      "setrlimit(RLIMIT_NOFILE, %uL) failed", (uint64_t) hard);
    }
}


/* How many are open now. */
static ngx_uint_t
count_open(void)
{
    ngx_uint_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return OTHERS_MIN;
    }
    while (readdir(dir) != NULL) {
        count++;
    }
    (void) closedir(dir);
    return count;
}


/* Those behind the first n are not used any more.  None of them is in use yet:
   a worker that starts gives them out from the first on. */
static void
keep_first(ngx_cycle_t *cycle, ngx_uint_t n)
{
    ngx_connection_t *first = NULL;
    ngx_uint_t count = 0;
    for (ngx_uint_t i = n; i-- > 0;) {
        ngx_connection_t *c = &cycle->connections[i];
        if (c->fd == (ngx_socket_t) -1) {
            c->data = first;
            first = c;
            count++;
        }
    }
    cycle->free_connections = first;
    cycle->free_connection_n = count;
    cycle->connection_n = n;
}


void
dns_descriptors_bound(ngx_cycle_t *cycle)
{
    struct rlimit limit;
    const ngx_uint_t used = cycle->connection_n - cycle->free_connection_n;
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1 ||
        limit.rlim_cur == RLIM_INFINITY) {
        return;
    }
    const ngx_uint_t files = (ngx_uint_t) limit.rlim_cur;
    const ngx_uint_t others =
        count_open() + ngx_max(files / OTHERS_SHARE, OTHERS_MIN);
    ngx_uint_t n = used + (files > others ? files - others : 0);
    n = ngx_max(n, used + CONNECTIONS_MIN);
    if (n >= cycle->connection_n) {
        return;
    }
    ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                  "a process may open %ui files: this worker takes %ui "
                  "connections rather than the %ui of worker_connections; a "
                  "higher worker_rlimit_nofile allows more",
                  files, n, cycle->connection_n);
    keep_first(cycle, n);
}
