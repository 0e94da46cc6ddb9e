#include "ffi/store_ffi.h"
#include "store/file.h"

int
dns_ffi_file_lock(const char *folder, int *lock, char *error)
{
    return (int) store_file_lock(folder, lock, error);
}

void
dns_ffi_file_unlock(int lock)
{
    store_file_unlock(lock);
}

int
dns_ffi_file_replace(const char *path, const char *text, size_t size,
                     char *error)
{
    return (int) store_file_replace(path, text, size, error);
}
