/*
 * Runs a fuzz target over each file of the folders and files that it is given,
 * without libFuzzer: the committed corpus is a test under any compiler.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static int
run_file(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        perror(path);
        return 0;
    }

    static uint8_t buffer[1 << 20];
    size_t size = fread(buffer, 1, sizeof(buffer), file);
    fclose(file);

    /* A copy of the exact size, so that a sanitizer sees the first octet read
       past it. */
    uint8_t *octets = malloc(size > 0 ? size : 1);

    if (octets == NULL) {
        return 0;
    }

    memcpy(octets, buffer, size);
    LLVMFuzzerTestOneInput(octets, size);
    free(octets);
    return 1;
}

static int
run_folder(const char *folder)
{
    DIR *dir = opendir(folder);

    if (dir == NULL) {
        return run_file(folder);
    }

    int count = 0;

    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[4096];

        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
            count += run_file(path);
        }
    }

    closedir(dir);
    return count;
}

int
main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++) {
        count += run_folder(argv[i]);
    }

    printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
