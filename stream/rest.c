#include "stream/rest.h"


void
rest_drop(rest_t *rest)
{
    if (rest->octets != NULL) {
        ngx_free(rest->octets);
    }
    ngx_memzero(rest, sizeof(*rest));
}


ngx_int_t
rest_keep(rest_t *rest, const uint8_t *octets, size_t size, ngx_log_t *log)
{
    uint8_t *copy = NULL;
    if (size > 0) {
        copy = ngx_alloc(size, log);
        if (copy == NULL) {
            return NGX_ERROR;
        }
        ngx_memcpy(copy, octets, size);
    }
    rest_drop(rest);
    rest->octets = copy;
    rest->size = size;
    return NGX_OK;
}


ngx_int_t
rest_append(rest_t *rest, const uint8_t *octets, size_t size, ngx_log_t *log)
{
    const size_t before = rest->size - rest->at;
    if (size == 0) {
        return NGX_OK;
    }
    uint8_t *joined = ngx_alloc(before + size, log);
    if (joined == NULL) {
        return NGX_ERROR;
    }
    if (before > 0) {
        ngx_memcpy(joined, rest->octets + rest->at, before);
    }
    ngx_memcpy(joined + before, octets, size);
    rest_drop(rest);
    rest->octets = joined;
    rest->size = before + size;
    return NGX_OK;
}
