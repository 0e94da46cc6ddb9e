#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/edit.h"

enum { PATH_SIZE = 4096 }; /* bytes of a path and its NUL */

static dns_status_t
fail_on(char *error, const char *path, int code)
{
    snprintf(error, STORE_ERROR_SIZE, "%.300s: %s", path, strerror(code));
    return DNS_ESTORE;
}

dns_status_t
store_file_lock(const char *folder, int *lock, char *error)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd;

    while (rc >= 0 && (rc = flock(fd, LOCK_EX)) < 0 && errno == EINTR) {
        rc = fd;
    }

    if (rc < 0) {
        int code = errno;

        if (fd >= 0) {
            close(fd);
        }

        return fail_on(error, folder, code);
    }

    *lock = fd;
    return DNS_OK;
}

void
store_file_unlock(int lock)
{
    close(lock); /* which gives up the lock of flock() */
}

/* The folder of a path. */
static void
folder_of(const char *path, char *folder)
{
    const char *slash = strrchr(path, '/');

    snprintf(folder, PATH_SIZE, "%.*s",
             slash == NULL ? 1 : (int) (slash - path + (slash == path)),
             slash == NULL ? "." : path);
}

static int
write_all(int fd, const char *octets, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, octets, size);

        if (written < 0 && errno != EINTR) {
            return -1;
        }

        if (written > 0) {
            octets += written;
            size -= (size_t) written;
        }
    }

    return fsync(fd);
}

/* A new file that holds the octets, on the disk; 0, or what failed. */
static int
write_new(const char *path, const char *folder, const char *octets, size_t size)
{
    struct stat owner;
    (void) unlink(path); /* what a writer that was killed has left */

    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0) {
        return errno;
    }

    /* The server's user has to read what root writes; others may not give a
       file away, and write as the server's user. */
    if (stat(folder, &owner) == 0 && geteuid() == 0 &&
        fchown(fd, owner.st_uid, owner.st_gid) < 0) {
        int code = errno;

        close(fd);
        return code;
    }

    int code = write_all(fd, octets, size) < 0 ? errno : 0;

    if (close(fd) < 0 && code == 0) {
        code = errno;
    }

    return code;
}

/* Makes a rename in the folder last; some file systems cannot, and need not. */
static int
sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return errno;
    }

    int code = fsync(fd) < 0 && errno != EINVAL ? errno : 0;

    close(fd);
    return code;
}

dns_status_t
store_file_replace(const char *path, const char *octets, size_t size,
                   char *error)
{
    char folder[PATH_SIZE];
    char new_path[PATH_SIZE];

    if (snprintf(new_path, sizeof(new_path), "%s.new", path) >= PATH_SIZE) {
        return fail_on(error, path, ENAMETOOLONG);
    }

    folder_of(path, folder);

    int code = write_new(new_path, folder, octets, size);

    if (code == 0 && rename(new_path, path) < 0) {
        code = errno;
    }

    if (code != 0) {
        unlink(new_path);
        return fail_on(error, path, code);
    }

    code = sync_folder(folder);
    return code == 0 ? DNS_OK : fail_on(error, folder, code);
}
