#ifndef STORE_FILE_H
#define STORE_FILE_H

/*
 * Small files beside a store's zones that are replaced as a whole.  A reader
 * sees the old file or the new one, never a part of it, also after a power cut
 * and on a full disk.  Whoever reads a file to write it anew holds the lock of
 * its folder meanwhile.
 */

#include <stddef.h>

#include "dns/status.h"

/* Waits for the folder's lock; *lock is then the caller's until
   store_file_unlock().  error: STORE_ERROR_SIZE bytes. */
DNS_MUST_USE dns_status_t store_file_lock(const char *folder, int *lock,
                                          char *error);
void store_file_unlock(int lock);

/*
 * Replaces the file, or makes it: readable for its owner alone, who is the
 * owner of the folder where the caller may decide that.  DNS_OK: the new file
 * is on the disk.  DNS_ESTORE: the old one is as it was; error, of
 * STORE_ERROR_SIZE bytes, takes the reason.
 */
DNS_MUST_USE dns_status_t store_file_replace(const char *path,
                                             const char *octets, size_t size,
                                             char *error);

#endif
