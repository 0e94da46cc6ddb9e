#include "store/redis/settings.h"

redis_client_settings_t
redis_settings_of(const store_options_t *options)
{
    return (redis_client_settings_t){
        .unix_socket = options->unix_socket,
        .user = options->user,
        .password = options->password,
        .database = options->database_number,
        .sentinel = options->sentinel,
        .sentinel_password = options->sentinel_password,
        .tls_name = options->tls_name,
    };
}
