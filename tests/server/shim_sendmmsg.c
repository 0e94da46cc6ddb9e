/* Preloaded into nginx: sendmmsg() takes a part of what it is given, or
   nothing, as a full socket buffer would have it. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

int
sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    static int (*real)(int, struct mmsghdr *, unsigned, int);
    static unsigned calls;

    if (real == NULL) {
        *(void **) &real = dlsym(RTLD_NEXT, "sendmmsg");
    }

    calls++;

    if (calls % 3 == 0) {
        errno = EAGAIN;
        return -1;
    }

    if (calls % 7 == 0) {
        errno = EINTR;
        return -1;
    }

    return real(fd, messages, count > 2 ? count / 2 : count, flags);
}
