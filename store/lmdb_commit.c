#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store/private/lmdb.h"

enum {
    GROW_TRIES = 16,       /* each doubles the map */
    ROOM_WANTED = 1 << 20, /* octets, more than what is left of a full disk */
};

static dns_status_t
begin(store_lmdb_t *store, MDB_txn **txn, char *error)
{
    int dead;

    if (lmdb_check_file(store->folder, error) != DNS_OK) {
        return DNS_ESTORE;
    }

    /* A killed reader would keep old pages from being used again. */
    mdb_reader_check(store->env, &dead);

    int rc = mdb_txn_begin(store->env, NULL, 0, txn);

    if (rc == MDB_MAP_RESIZED) {
        rc = lmdb_resize(store, 0);
        rc = rc == 0 ? mdb_txn_begin(store->env, NULL, 0, txn) : rc;
    }

    return rc == 0 ? DNS_OK : lmdb_fail(error, "begin", rc);
}

/* LMDB tells a write that ended half-way as EIO; mostly the disk or a quota is
   full, which room for more pages, asked for, tells by name. */
static int
reason_of(store_lmdb_t *store, int rc)
{
    struct stat file;
    int fd;

    if (rc != EIO || mdb_env_get_fd(store->env, &fd) != 0 ||
        fstat(fd, &file) != 0) {
        return rc;
    }

    return fallocate(fd, FALLOC_FL_KEEP_SIZE, file.st_size, ROOM_WANTED) != 0 &&
                   errno != EOPNOTSUPP
               ? errno
               : rc;
}

/* One try.  *rc is MDB_MAP_FULL when a larger map helps. */
static dns_status_t
try_commit(const lmdb_commit_t *c, int *rc, char *error)
{
    MDB_txn *txn;
    bool is_changed = false;

    *rc = 0;

    dns_status_t status = begin(c->store, &txn, error);

    if (status != DNS_OK) {
        return status;
    }

    status = lmdb_apply(c, txn, rc, &is_changed, error);

    if (status != DNS_OK || !is_changed) {
        mdb_txn_abort(txn);
        return status;
    }

    *rc = mdb_txn_commit(txn);
    return *rc == 0 ? DNS_OK
                    : lmdb_fail(error, "the store cannot be written",
                                reason_of(c->store, *rc));
}

static dns_status_t
grow(store_lmdb_t *store, char *error)
{
    MDB_envinfo info;

    mdb_env_info(store->env, &info);

    int rc = lmdb_resize(store, info.me_mapsize * 2);

    return rc == 0 ? DNS_OK : lmdb_fail(error, "larger map", rc);
}

static dns_status_t
commit(const lmdb_commit_t *c, char *error)
{
    int rc;
    dns_status_t status = try_commit(c, &rc, error);

    for (int i = 0; i < GROW_TRIES && rc == MDB_MAP_FULL; i++) {
        status = grow(c->store, error);

        if (status != DNS_OK) {
            return status;
        }

        status = try_commit(c, &rc, error);
    }

    return status;
}

dns_status_t
store_lmdb_commit(store_lmdb_t *store, store_edit_t *edit, char *error)
{
    const lmdb_commit_t c = {store, edit};
    dns_status_t status = store_edit_sort(edit, error);

    if (status != DNS_OK) {
        return status;
    }

    if (store->is_read_only) {
        snprintf(error, STORE_ERROR_SIZE,
                 "%.300s: no edit is taken, because %s", store->folder,
                 store->refusal != NULL ? store->refusal
                                        : "the store was opened to be read");
        return DNS_ESTORE;
    }

    pthread_mutex_lock(&store->write_lock);
    status = commit(&c, error);
    pthread_mutex_unlock(&store->write_lock);

    if (status == DNS_OK) {
        error[0] = '\0'; /* of a try before */
    }

    return status;
}
