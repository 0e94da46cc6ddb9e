/* Where our Lua modules lie: found from where the nginx module lies, so that a
   build or an installation can be moved as a whole. */

#include <dlfcn.h>
#include <stdlib.h>

#include "runtime/vm.h"

enum { PATH_SIZE = 4 * NGX_MAX_PATH };

/* Beside the folder of the module: installed, lib/nginx/modules; built,
   modules, where what the build has made lies in a folder of its own. */
static const struct {
    const char *folder;
    const char *made; /* NULL: in the same */
} places[] = {
    {"/../../../share/resolua/lua", NULL},
    {"/../share/resolua/lua", "/../lua"},
};


/* The folder of this module, without a final slash; 0: the system does not say.
 */
static size_t
find_module_folder(char *folder)
{
    Dl_info info;
    if (dladdr((void *) &places, &info) == 0 || info.dli_fname == NULL ||
        realpath(info.dli_fname, folder) == NULL) {
        return 0;
    }
    char *slash = strrchr(folder, '/');
    *slash = '\0';
    return (size_t) (slash - folder);
}


/* Messages and stack traces name files where they are: links are followed. */
static ngx_uint_t
find_modules(const char *folder, const char *place, char *found)
{
    char path[PATH_SIZE];
    (void) snprintf(path, sizeof(path), "%s%s/dns.lua", folder, place);
    if (access(path, R_OK) != 0) {
        return 0;
    }
    (void) snprintf(path, sizeof(path), "%s%s", folder, place);
    return realpath(path, found) != NULL;
}


static void
write_path(char *path, const char *modules, const char *folder,
           const char *made)
{
    const int used =
        snprintf(path, PATH_SIZE, "%s/?.lua;%s/?/init.lua", modules, modules);
    if (made != NULL) {
        (void) snprintf(path + used, PATH_SIZE - (size_t) used, ";%s%s/?.lua",
                        folder, made);
    }
}


const char *
resolua_vm_own_path(void)
{
    static char path[PATH_SIZE];
    char folder[PATH_MAX];
    char modules[PATH_MAX];
    if (path[0] != '\0' || find_module_folder(folder) == 0) {
        return path;
    }
    for (ngx_uint_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (find_modules(folder, places[i].folder, modules)) {
            write_path(path, modules, folder, places[i].made);
            return path;
        }
    }
    ngx_log_error(
        NGX_LOG_ERR, ngx_cycle->log, 0,
        "the Lua modules of Resolua do not lie beside %s, in "
        "share/resolua/lua: require of them fails; install the module "
        "and them together",
        folder);
    return path;
}
