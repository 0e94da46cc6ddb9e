#include "dns/status.h"

const char *
dns_status_text(dns_status_t status)
{
    switch (status) {
    case DNS_OK:
        return "no error";
    case DNS_ENOSPACE:
        return "no space left in the output";
    case DNS_EMALFORMED:
        return "malformed input";
    case DNS_ENOTFOUND:
        return "not found";
    case DNS_ENOMEM:
        return "out of memory";
    case DNS_EEXIST:
        return "already there";
    case DNS_ECONFLICT:
        return "conflicts with other data";
    case DNS_ESTORE:
        return "the store failed";
    case DNS_ELIMIT:
        return "over the limit";
    case DNS_EUNKNOWN:
        return "unknown mnemonic";
    case DNS_NEEDS:
        return "names have to be fetched first";
    }

    return "unknown status";
}
