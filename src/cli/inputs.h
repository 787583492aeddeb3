/* Where a command's numbers come from: for --json. */
#ifndef DINF_CLI_INPUTS_H
#define DINF_CLI_INPUTS_H

#include <cjson/cJSON.h>

#include "base/err.h"

/* Adds `provenance` to the object: dinf_version, revision, library_NAME, command (the
 * words), time (UTC), and `inputs`, an array of { option, file, sha256 }, one for every
 * file that is not "". options[i] is what files[i] was given as. FILE.h5:/path is hashed
 * as the file. A file that cannot be read any more is an error. */
struct input {
    const char *option, *file;
};
int inputs_add(cJSON *object, int argc, char **argv, const struct input *inputs, int n, struct err *err);

#endif
