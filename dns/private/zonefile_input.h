#ifndef DNS_PRIVATE_ZONEFILE_INPUT_H
#define DNS_PRIVATE_ZONEFILE_INPUT_H

/* Files of master-file text, and which of them $INCLUDE may name. */

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *bytes; /* borrowed */
    size_t size;
} zonefile_text_t;

/* Reads a whole file into a buffer that the caller frees; false with errno. */
bool zonefile_read(const char *path, char **buffer, zonefile_text_t *text);

/* The folders whose files $INCLUDE may name; links are resolved. */
typedef struct {
    char *own;     /* owned: of the master file; NULL: no $INCLUDE at all */
    char *allowed; /* owned: another one; NULL: none */
} zonefile_folders_t;

/* own: that of the file at path, NULL for one without a folder (a pipe);
   allowed_path may be NULL.  false with errno: it cannot be found. */
bool zonefile_folders_init(zonefile_folders_t *folders, const char *path,
                           const char *allowed_path);
void zonefile_folders_deinit(zonefile_folders_t *folders);

/* The path of a file in or below one of the folders, links resolved; freed by
   the caller.  A relative name begins in the own folder.  NULL: it is not
   there, or lies elsewhere. */
char *zonefile_find(const zonefile_folders_t *folders, const char *name,
                    size_t size);

#endif
