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

/* The folder of a file, links resolved; freed by the caller, NULL if there is
   none. */
char *zonefile_folder(const char *path);

/* The path of a file in or below the folder, links resolved; freed by the
   caller.  NULL: it is not there, or lies elsewhere. */
char *zonefile_inside(const char *folder, const char *name, size_t size);

#endif
