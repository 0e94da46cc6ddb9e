/* What edits of ours, in any worker, have changed: in shared memory. */

#include "server/private/remote.h"

extern ngx_module_t ngx_resolua_dns_module;

static ngx_shm_zone_t *shared;
remote_changes_t *remote_changes;


/* A reload keeps the numbers. */
static ngx_int_t
init_shared(ngx_shm_zone_t *zone, void *before)
{
    ngx_slab_pool_t *slab = (ngx_slab_pool_t *) zone->shm.addr;
    zone->data = before != NULL
                     ? before
                     : ngx_slab_calloc(slab, sizeof(*remote_changes));
    return zone->data != NULL ? NGX_OK : NGX_ERROR;
}


ngx_int_t
dns_remote_conf(ngx_conf_t *cf)
{
    ngx_str_t name = ngx_string("resolua_dns_stores");
    shared = ngx_shared_memory_add(cf, &name, 16 * ngx_pagesize,
                                   &ngx_resolua_dns_module);
    if (shared == NULL) {
        return NGX_ERROR;
    }
    shared->init = init_shared;
    return NGX_OK;
}


void
remote_edits_open(void)
{
    remote_changes = shared->data;
}


static unsigned
bucket_of(const dns_name_t *apex)
{
    return ngx_crc32_short((u_char *) apex->octets, apex->size) %
           REMOTE_EDIT_BUCKETS;
}


uint64_t
remote_edits(const dns_name_t *apex)
{
    return __atomic_load_n(&remote_changes->edits[bucket_of(apex)],
                           __ATOMIC_SEQ_CST);
}


static ngx_slab_pool_t *
pool(void)
{
    return (ngx_slab_pool_t *) shared->shm.addr;
}


static void
put_names(const uint8_t *names, size_t size)
{
    ngx_shmtx_lock(&pool()->mutex);
    uint64_t count = remote_changes->name_count;
    for (size_t at = 0; at < size; count++) {
        const size_t name_size = dns_name_size(names + at);
        ngx_memcpy(remote_changes->names[count % REMOTE_EDITED_NAMES],
                   names + at, name_size);
        at += name_size;
    }
    __atomic_store_n(&remote_changes->name_count, count, __ATOMIC_SEQ_CST);
    ngx_shmtx_unlock(&pool()->mutex);
}


ngx_uint_t
remote_edited(const dns_name_t *apex, const uint8_t *names, size_t size)
{
    if (remote_changes == NULL) {
        return 0;
    }
    const unsigned bucket = bucket_of(apex);
    const uint64_t bit = (uint64_t) 1 << bucket;
    put_names(names, size);
    (void) __atomic_add_fetch(&remote_changes->edits[bucket], 1,
                              __ATOMIC_SEQ_CST);
    return (__atomic_fetch_and(&remote_changes->filtered, ~bit,
                               __ATOMIC_SEQ_CST) &
            bit) != 0;
}


ngx_uint_t
remote_zone_made(void)
{
    if (remote_changes == NULL) {
        return 0;
    }
    (void) __atomic_add_fetch(&remote_changes->own_zones, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&remote_changes->filtered, __ATOMIC_SEQ_CST) != 0;
}


uint64_t
dns_remote_zones_edited(void)
{
    return remote_changes == NULL
               ? 0
               : __atomic_load_n(&remote_changes->zones, __ATOMIC_SEQ_CST) +
                     __atomic_load_n(&remote_changes->own_zones,
                                     __ATOMIC_SEQ_CST);
}


void
dns_remote_filtered(const dns_name_t *apex)
{
    (void) __atomic_fetch_or(&remote_changes->filtered,
                             (uint64_t) 1 << bucket_of(apex), __ATOMIC_SEQ_CST);
}


void
dns_remote_edited(void (*take)(const dns_name_t *name))
{
    static uint64_t seen;
    if (remote_changes == NULL || __atomic_load_n(&remote_changes->name_count,
                                                  __ATOMIC_SEQ_CST) == seen) {
        return;
    }
    ngx_shmtx_lock(&pool()->mutex);
    const uint64_t count = remote_changes->name_count;
    for (seen = ngx_max(seen, count - ngx_min(count, REMOTE_EDITED_NAMES));
         seen < count; seen++) {
        dns_name_t name;
        dns_name_set(&name, remote_changes->names[seen % REMOTE_EDITED_NAMES]);
        take(&name);
    }
    ngx_shmtx_unlock(&pool()->mutex);
}
