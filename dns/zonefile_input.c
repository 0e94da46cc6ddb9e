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

char *
zonefile_folder(const char *path)
{
    char *folder = realpath(path, NULL);
    char *slash = folder != NULL ? strrchr(folder, '/') : NULL;

    if (slash != NULL) {
        slash[slash == folder ? 1 : 0] = '\0';
    }

    return folder;
}

char *
zonefile_inside(const char *folder, const char *name, size_t size)
{
    char path[PATH_MAX];
    size_t folder_size = strlen(folder);

    if (size == 0 || name[0] == '/' || memchr(name, '\0', size) != NULL ||
        folder_size + size + 2 > sizeof(path)) {
        return NULL;
    }

    snprintf(path, sizeof(path), "%s/%.*s", folder, (int) size, name);

    char *real = realpath(path, NULL);
    struct stat status;

    if (real == NULL) {
        return NULL;
    }

    bool is_inside = strncmp(real, folder, folder_size) == 0 &&
                     (real[folder_size] == '/' || folder_size == 1) &&
                     stat(real, &status) == 0 && S_ISREG(status.st_mode);

    if (!is_inside) {
        free(real);
        return NULL;
    }

    return real;
}
