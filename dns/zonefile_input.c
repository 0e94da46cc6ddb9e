#include "dns/private/zonefile_input.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dns/zonefile.h"

enum { FIRST_SIZE = 1 << 16 }; /* bytes to begin with */

/* Appends what the stream holds; the buffer grows as needed. */
static bool
read_stream(FILE *stream, char **buffer, size_t *size)
{
    size_t room = FIRST_SIZE;

    *size = 0;
    *buffer = malloc(room);

    while (*buffer != NULL) {
        *size += fread(*buffer + *size, 1, room - *size, stream);

        if (*size < room) {
            return !ferror(stream);
        }

        if (room >= DNS_ZONEFILE_SIZE_MAX) {
            errno = EFBIG;
            return false;
        }

        room *= 2;

        char *larger = realloc(*buffer, room);

        if (larger == NULL) {
            return false;
        }

        *buffer = larger;
    }

    return false;
}

bool
zonefile_read(const char *path, char **buffer, zonefile_text_t *text)
{
    FILE *stream = fopen(path, "rb");
    size_t size;

    *buffer = NULL;

    if (stream == NULL) {
        return false;
    }

    bool is_read = read_stream(stream, buffer, &size);
    int error = errno;

    fclose(stream);

    if (!is_read) {
        free(*buffer);
        *buffer = NULL;
        errno = error;
        return false;
    }

    *text = (zonefile_text_t){*buffer, size};
    return true;
}

bool
zonefile_folders_init(zonefile_folders_t *folders, const char *path,
                      const char *allowed_path)
{
    folders->own = realpath(path, NULL);

    if (folders->own != NULL) {
        char *slash = strrchr(folders->own, '/');

        slash[slash == folders->own ? 1 : 0] = '\0';
    }

    folders->allowed =
        allowed_path != NULL ? realpath(allowed_path, NULL) : NULL;
    return allowed_path == NULL || folders->allowed != NULL;
}

void
zonefile_folders_deinit(zonefile_folders_t *folders)
{
    free(folders->own);
    free(folders->allowed);
}

static bool
is_inside(const char *folder, const char *path)
{
    size_t size = folder != NULL ? strlen(folder) : 0;

    return folder != NULL && strncmp(path, folder, size) == 0 &&
           (path[size] == '/' || size == 1);
}

char *
zonefile_find(const zonefile_folders_t *folders, const char *name, size_t size)
{
    char path[PATH_MAX];
    bool is_absolute = size > 0 && name[0] == '/';
    struct stat status;

    if (size == 0 || memchr(name, '\0', size) != NULL ||
        strlen(folders->own) + size + 2 > sizeof(path)) {
        return NULL;
    }

    snprintf(path, sizeof(path), "%s/%.*s", is_absolute ? "" : folders->own,
             (int) size, name);

    char *real = realpath(path, NULL);

    if (real != NULL &&
        (is_inside(folders->own, real) || is_inside(folders->allowed, real)) &&
        stat(real, &status) == 0 && S_ISREG(status.st_mode)) {
        return real;
    }

    free(real);
    return NULL;
}
