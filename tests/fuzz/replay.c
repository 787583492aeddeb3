/* Runs a harness over files and folders of files: regression tests without
 * libFuzzer. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "fuzz.h"

static int replay(const char *path)
{
    struct err err;
    char *bytes = NULL;
    size_t n = 0;
    if (fs_read(path, &bytes, &n, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    uint8_t *exact = malloc(n ? n : 1); /* no byte behind the input */
    if (exact != NULL) {
        memcpy(exact, bytes, n);
        LLVMFuzzerTestOneInput(exact, n);
    }
    free(exact);
    mem_free(bytes);
    return exact != NULL ? 0 : -1;
}

int main(int argc, char **argv)
{
    int done = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            if (replay(argv[i]) != 0)
                return 1;
            done++;
            continue;
        }
        for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            if (replay(path) != 0)
                return 1;
            done++;
        }
        closedir(folder);
    }
    printf("%d inputs\n", done);
    return done > 0 ? 0 : 1;
}
