/*
 * Is the store's file whole?  LMDB maps it without asking: a page that a cut
 * file does not have any more is a SIGBUS for whoever reads it.  The layout of
 * pages is LMDB's of all 0.9 versions.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/private/lmdb.h"

enum {
    PATH_SIZE = 4096,   /* bytes */
    PAGE_MIN = 256,     /* octets */
    PAGE_MAX = 65536,   /* octets */
    DEPTH_MAX = 32,     /* of a tree */
    BRANCH_FLAG = 0x01, /* of a page */
    BIG_FLAG = 0x01,    /* of a node: its value has pages of its own */
};

#define META_MAGIC 0xbeefc0deu
#define NO_PAGE    SIZE_MAX /* the root of an empty tree */

typedef struct {
    size_t number;
    uint16_t pad;
    uint16_t flags;
    uint16_t lower; /* end of the nodes' offsets, which follow */
    uint16_t upper;
} page_header_t;

typedef struct {
    uint32_t pad; /* of the first tree: the size of pages */
    uint16_t flags;
    uint16_t depth;
    size_t branch_pages;
    size_t leaf_pages;
    size_t overflow_pages;
    size_t entries;
    size_t root;
} tree_t;

typedef struct {
    page_header_t page;
    uint32_t magic;
    uint32_t version;
    void *address;
    size_t map_size;
    tree_t trees[2]; /* of free pages; of tables */
    size_t last_page;
    volatile size_t transaction;
} meta_page_t;

/* Before a node's key. */
typedef struct {
    uint16_t low;
    uint16_t high;
    uint16_t flags;
    uint16_t key_size;
} node_header_t;

typedef struct {
    int fd;
    size_t page_size;
    size_t pages;       /* that the file has whole */
    size_t free_behind; /* free ones behind its end */
    size_t walked;      /* pages; more than there are is a circle */
} file_t;

static bool
read_at(const file_t *file, void *out, size_t size, size_t page, size_t skip)
{
    const off_t at = (off_t) (page * file->page_size + skip);

    return pread(file->fd, out, size, at) == (ssize_t) size;
}

/* The newer of the two meta pages that can be read; 0: neither. */
static size_t
read_metas(file_t *file, meta_page_t *newest)
{
    size_t found = 0;

    file->page_size = PAGE_MIN; /* of the first, at 0 */

    for (size_t i = 0; i < 2; i++) {
        meta_page_t meta;

        if (!read_at(file, &meta, sizeof(meta), i, 0) ||
            meta.magic != META_MAGIC) {
            return found;
        }

        file->page_size = meta.trees[0].pad;

        if (file->page_size < PAGE_MIN || file->page_size > PAGE_MAX) {
            return 0;
        }

        if (found++ == 0 || meta.transaction > newest->transaction) {
            *newest = meta;
        }
    }

    return found;
}

/* Counts the pages of a list of free ones that lie behind the file's end. */
static bool
count_free(file_t *file, const uint8_t *list, size_t size)
{
    size_t count = 0;

    if (size >= sizeof(count)) {
        memcpy(&count, list, sizeof(count));
    }

    if (count >= size / sizeof(size_t)) {
        return false;
    }

    for (size_t i = 1; i <= count; i++) {
        size_t page;

        memcpy(&page, list + i * sizeof(page), sizeof(page));
        file->free_behind += page >= file->pages;
    }

    return true;
}

/* A list that has pages of its own. */
static bool
count_free_at(file_t *file, size_t page, size_t size)
{
    uint8_t *list = size / file->page_size < file->pages ? malloc(size) : NULL;
    const bool is_read =
        list != NULL &&
        read_at(file, list, size, page, sizeof(page_header_t)) &&
        count_free(file, list, size);

    free(list);
    return is_read;
}

static bool walk(file_t *file, size_t number, unsigned depth);

/* A node at an offset of a page. */
static bool
walk_node(file_t *file, const uint8_t *page, size_t at, unsigned depth)
{
    page_header_t header;
    node_header_t node;

    if (at + sizeof(node) > file->page_size) {
        return false;
    }

    memcpy(&header, page, sizeof(header));
    memcpy(&node, page + at, sizeof(node));

    const size_t number = node.low | (size_t) node.high << 16;

    if ((header.flags & BRANCH_FLAG) != 0) {
        return walk(file, number | (size_t) node.flags << 32, depth + 1);
    }

    const size_t value_at = at + sizeof(node) + node.key_size;
    const bool is_big = (node.flags & BIG_FLAG) != 0;
    size_t big = 0;

    if (value_at + (is_big ? sizeof(big) : number) > file->page_size) {
        return false;
    }

    memcpy(&big, page + value_at, is_big ? sizeof(big) : 0);
    return is_big ? count_free_at(file, big, number)
                  : count_free(file, page + value_at, number);
}

/* The tree of free pages, from a page on; false: a part of it is not there. */
static bool
walk(file_t *file, size_t number, unsigned depth)
{
    page_header_t header;
    const bool goes_on = depth < DEPTH_MAX && file->walked++ < file->pages;
    uint8_t *page = goes_on ? malloc(file->page_size) : NULL;
    bool is_whole = page != NULL && number < file->pages &&
                    read_at(file, page, file->page_size, number, 0);

    if (is_whole) {
        memcpy(&header, page, sizeof(header));
        is_whole = header.number == number && header.lower <= file->page_size;
    }

    for (size_t at = sizeof(header); is_whole && at + 1 < header.lower;
         at += 2) {
        uint16_t offset;

        memcpy(&offset, page + at, sizeof(offset));
        is_whole = walk_node(file, page, offset, depth);
    }

    free(page);
    return is_whole;
}

/* LMDB does not write pages at the end that a transaction took and gave back:
   a whole file may be shorter by pages that are free. */
static bool
is_rest_free(file_t *file, const meta_page_t *meta)
{
    const size_t root = meta->trees[0].root;

    return root != NO_PAGE && walk(file, root, 0) &&
           file->free_behind == meta->last_page + 1 - file->pages;
}

static off_t
size_of(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 ? status.st_size : 0;
}

static dns_status_t
check_open_file(file_t *file, char *error)
{
    meta_page_t meta;

    if (size_of(file->fd) == 0) {
        snprintf(error, STORE_ERROR_SIZE,
                 "data.mdb is empty: restore it from a copy, or remove it to "
                 "begin with an empty store");
        return DNS_ESTORE;
    }

    const size_t metas = read_metas(file, &meta);

    /* Pages are written before the meta page that tells them. */
    const size_t size = (size_t) size_of(file->fd);

    if (metas == 0 || (metas == 1 && size >= 2 * file->page_size)) {
        return DNS_OK; /* not of this layout: LMDB says what it thinks of it */
    }

    file->pages = size / file->page_size;

    if (metas == 2 &&
        (meta.last_page < file->pages || is_rest_free(file, &meta))) {
        return DNS_OK;
    }

    snprintf(error, STORE_ERROR_SIZE,
             "data.mdb was cut: it has %zu octets of %zu; restore it from a "
             "copy, or remove it and load the zones",
             size, (meta.last_page + 1) * file->page_size);
    return DNS_ESTORE;
}

dns_status_t
lmdb_check_file(const char *folder, char *error)
{
    char path[PATH_SIZE];
    file_t file = {0};

    snprintf(path, sizeof(path), "%s/data.mdb", folder);
    file.fd = open(path, O_RDONLY | O_CLOEXEC);

    if (file.fd < 0) {
        return DNS_OK; /* none yet; or opening it will tell why not */
    }

    dns_status_t status = check_open_file(&file, error);

    close(file.fd);
    return status;
}
