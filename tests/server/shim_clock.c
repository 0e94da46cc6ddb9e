/* Preloaded into nginx: the time of day is an hour ago so long as the file
   exists that SHIM_CLOCK names.  The monotonic clock goes on. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

int
gettimeofday(struct timeval *now, void *zone)
{
    static int (*real)(struct timeval *, void *);
    if (real == NULL) {
        *(void **) &real = dlsym(RTLD_NEXT, "gettimeofday");
    }
    const int rc = real(now, zone);
    const char *path = getenv("SHIM_CLOCK");
    if (path != NULL && access(path, F_OK) == 0) {
        now->tv_sec -= 3600;
    }
    return rc;
}
