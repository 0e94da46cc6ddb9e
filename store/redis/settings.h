#ifndef STORE_REDIS_SETTINGS_H
#define STORE_REDIS_SETTINGS_H

#include "client/redis.h"
#include "store/options.h"

/* What a store's options say of a connection; the rest is for the caller to
   set.  Texts are borrowed from the options. */
redis_client_settings_t redis_settings_of(const store_options_t *options);

#endif
