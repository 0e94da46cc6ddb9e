#include "store/lmdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/private/lmdb.h"

enum {
    TABLES_MAX = 8,
    READERS_MAX = 1022, /* processes and threads at once */
    RESIZE_WAIT_S = 5,  /* for snapshots of this process to end */
    PATH_SIZE = 4096,   /* bytes */
    FILE_MODE = 0660,
};

/* Address space, not memory: the file is as large as what it holds. */
#define MAP_SIZE     ((size_t) 64 << 30)
#define MAP_SIZE_MIN ((size_t) 64 << 20)

dns_status_t
lmdb_fail(char *error, const char *what, int rc)
{
    snprintf(error, STORE_ERROR_SIZE, "%s: %s", what, mdb_strerror(rc));
    return DNS_ESTORE;
}

int
lmdb_resize(store_lmdb_t *store, size_t map_size)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RESIZE_WAIT_S;

    int rc = pthread_rwlock_timedwrlock(&store->map_lock, &until);

    if (rc != 0) {
        return rc;
    }

    rc = mdb_env_set_mapsize(store->env, map_size);
    store->map_count++;
    pthread_rwlock_unlock(&store->map_lock);
    return rc;
}

/* Checks the format's number, or writes it into a new store. */
static dns_status_t
check_format(store_lmdb_t *store, MDB_txn *txn, bool is_new, char *error)
{
    uint32_t format = STORE_FORMAT;
    MDB_val key = {6, "format"};
    MDB_val value = {sizeof(format), &format};
    int rc = mdb_get(txn, store->meta, &key, &value);

    if (rc == MDB_NOTFOUND && is_new) {
        value = (MDB_val){sizeof(format), &format};
        rc = mdb_put(txn, store->meta, &key, &value, 0);
        return rc == 0 ? DNS_OK : lmdb_fail(error, "new store", rc);
    }

    if (rc != 0 || value.mv_size != sizeof(format)) {
        snprintf(error, STORE_ERROR_SIZE, "not a zone store");
        return DNS_ESTORE;
    }

    memcpy(&format, value.mv_data, sizeof(format));

    if (format != STORE_FORMAT) {
        snprintf(error, STORE_ERROR_SIZE,
                 "the store has format %u, this program knows format %u: use "
                 "the program that wrote it, or load the zones into a new "
                 "store",
                 format, (unsigned) STORE_FORMAT);
        return DNS_ESTORE;
    }

    return DNS_OK;
}

static int
open_table_handles(store_lmdb_t *store, MDB_txn *txn, unsigned flags)
{
    int rc = mdb_dbi_open(txn, "meta", flags, &store->meta);

    if (rc == 0) {
        rc = mdb_dbi_open(txn, "zones", flags, &store->zones);
    }

    if (rc == 0) {
        rc = mdb_dbi_open(txn, "nodes", flags, &store->nodes);
    }

    return rc == 0 ? mdb_dbi_open(txn, "nsec3", flags, &store->nsec3) : rc;
}

static dns_status_t
open_tables_in(store_lmdb_t *store, bool may_create, int *rc, char *error)
{
    MDB_txn *txn;

    *rc = mdb_txn_begin(store->env, NULL, may_create ? 0 : MDB_RDONLY, &txn);

    if (*rc != 0) {
        return lmdb_fail(error, "transaction", *rc);
    }

    *rc = open_table_handles(store, txn, may_create ? MDB_CREATE : 0);

    dns_status_t status = *rc == 0 ? check_format(store, txn, may_create, error)
                                   : lmdb_fail(error, "tables", *rc);

    if (status != DNS_OK) {
        mdb_txn_abort(txn);
        return status;
    }

    *rc = mdb_txn_commit(txn);
    return *rc == 0 ? DNS_OK : lmdb_fail(error, "tables", *rc);
}

/* Reads first: opening a store that is there writes nothing. */
static dns_status_t
open_tables(store_lmdb_t *store, char *error)
{
    int rc = 0;
    dns_status_t status = open_tables_in(store, false, &rc, error);

    if (status == DNS_OK || rc != MDB_NOTFOUND) {
        return status;
    }

    if (store->is_read_only) {
        snprintf(error, STORE_ERROR_SIZE, "there is no zone store");
        return DNS_ESTORE;
    }

    return open_tables_in(store, true, &rc, error);
}

/* Root makes the files for the folder's owner, as whom the server runs.  That
   owner may have put a link in a file's place: the link itself is given away,
   and never a file that it leads to or that has a second name. */
static void
give_files_to_owner(const char *folder)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    struct stat owner;
    char path[PATH_SIZE];

    if (geteuid() != 0 || stat(folder, &owner) != 0) {
        return;
    }

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct stat file;
        int length = snprintf(path, sizeof(path), "%s/%s", folder, files[i]);

        if (length < (int) sizeof(path) && lstat(path, &file) == 0 &&
            S_ISREG(file.st_mode) && file.st_nlink == 1 &&
            file.st_uid != owner.st_uid) {
            /* A store that others cannot open is reported when they try. */
            (void) !lchown(path, owner.st_uid, owner.st_gid);
        }
    }
}

/* A handle whose open failed can only be closed: each try makes a new one. */
static int
open_environment(store_lmdb_t *store, const char *folder, size_t map_size)
{
    unsigned flags = MDB_NOTLS | (store->is_read_only ? MDB_RDONLY : 0) |
                     (store->is_unlocked ? MDB_NOLOCK : 0);
    int rc = mdb_env_create(&store->env);

    if (rc != 0) {
        store->env = NULL;
        return rc;
    }

    mdb_env_set_maxdbs(store->env, TABLES_MAX);
    mdb_env_set_maxreaders(store->env, READERS_MAX);
    mdb_env_set_mapsize(store->env, map_size);
    rc = mdb_env_open(store->env, folder, flags, FILE_MODE);

    if (rc != 0) {
        mdb_env_close(store->env);
        store->env = NULL;
    }

    return rc;
}

/* With as large a map as there is address space for. */
static int
open_mapped(store_lmdb_t *store, const char *folder, size_t map_size)
{
    int rc = open_environment(store, folder, map_size);

    while ((rc == ENOMEM || rc == EINVAL) && map_size / 2 >= MAP_SIZE_MIN) {
        map_size /= 2;
        rc = open_environment(store, folder, map_size);
    }

    return rc;
}

static const char *
refusal_of(int rc)
{
    return rc == EROFS                   ? "its file system is read-only"
           : rc == EACCES || rc == EPERM ? "this user may not write it"
                                         : NULL;
}

/* A store that cannot be written can still answer. */
static int
open_as_allowed(store_lmdb_t *store, const char *folder, size_t map_size)
{
    int rc = open_mapped(store, folder, map_size);

    if (refusal_of(rc) != NULL && !store->is_read_only) {
        store->is_read_only = true;
        store->refusal = refusal_of(rc);
        rc = open_mapped(store, folder, map_size);
    }

    if (refusal_of(rc) != NULL) {
        store->is_unlocked = true;
        rc = open_mapped(store, folder, map_size);
    }

    return rc;
}

static dns_status_t
open_store(store_lmdb_t *store, const char *folder, size_t map_size,
           char *error)
{
    int dead;
    char reason[STORE_ERROR_SIZE];

    if (lmdb_check_file(folder, reason) != DNS_OK) {
        snprintf(error, STORE_ERROR_SIZE, "%.200s: %.300s", folder, reason);
        return DNS_ESTORE;
    }

    int rc = open_as_allowed(store, folder, map_size);

    if (rc != 0) {
        snprintf(error, STORE_ERROR_SIZE, "%.300s: %s", folder,
                 mdb_strerror(rc));
        return DNS_ESTORE;
    }

    give_files_to_owner(folder);
    mdb_reader_check(store->env, &dead);

    dns_status_t status = open_tables(store, reason);

    if (status != DNS_OK) {
        snprintf(error, STORE_ERROR_SIZE, "%.200s: %.300s", folder, reason);
    }

    return status;
}

dns_status_t
lmdb_open(store_lmdb_t **out, const char *folder, bool read_only,
          size_t map_size, char *error)
{
    if (!read_only && mkdir(folder, 0770) != 0 && errno != EEXIST) {
        snprintf(error, STORE_ERROR_SIZE, "%.300s: %s", folder,
                 strerror(errno));
        return DNS_ESTORE;
    }

    store_lmdb_t *store = calloc(1, sizeof(*store));

    if (store == NULL) {
        snprintf(error, STORE_ERROR_SIZE, "memory is used up");
        return DNS_ENOMEM;
    }

    store->folder = strdup(folder);

    if (store->folder == NULL) {
        free(store);
        snprintf(error, STORE_ERROR_SIZE, "memory is used up");
        return DNS_ENOMEM;
    }

    store->is_read_only = read_only;
    pthread_rwlock_init(&store->map_lock, NULL);
    pthread_mutex_init(&store->write_lock, NULL);

    dns_status_t status = open_store(store, folder, map_size, error);

    if (status != DNS_OK) {
        store_lmdb_close(store);
        return status;
    }

    *out = store;
    return DNS_OK;
}

dns_status_t
store_lmdb_open(store_lmdb_t **out, const char *folder, bool read_only,
                char *error)
{
    return lmdb_open(out, folder, read_only, MAP_SIZE, error);
}

void
store_lmdb_close(store_lmdb_t *store)
{
    if (store == NULL) {
        return;
    }

    if (store->env != NULL) {
        mdb_env_close(store->env);
    }

    pthread_rwlock_destroy(&store->map_lock);
    pthread_mutex_destroy(&store->write_lock);
    free(store->folder);
    free(store);
}

const char *
store_lmdb_refusal(const store_lmdb_t *store)
{
    return store->refusal;
}
