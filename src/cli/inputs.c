/* A number that leaves the program carries what it was computed from, by content. */
#include "cli/inputs.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/version.h"
#include "tasks/provenance.h"

/* The file of a representation: itself, or FILE of FILE.h5:/path. */
static int file_of(const char *given, char file[PATH_MAX], struct err *err)
{
    const char *cut = NULL;
    for (const char *p = given; !fs_exists(given) && (p = strstr(p, ":/")) != NULL; p++)
        cut = p;
    return fs_path(file, PATH_MAX, err, "%.*s", cut != NULL ? (int)(cut - given) : (int)strlen(given), given);
}

static int add_input(cJSON *array, const struct input *input, struct err *err)
{
    char file[PATH_MAX], hex[HASH_HEX];
    if (file_of(input->file, file, err) != 0 || hash_file(file, hex, err) != 0)
        return -1;
    cJSON *o = cJSON_CreateObject();
    if (o == NULL || !cJSON_AddItemToArray(array, o) || cJSON_AddStringToObject(o, "option", input->option) == NULL ||
        cJSON_AddStringToObject(o, "file", input->file) == NULL || cJSON_AddStringToObject(o, "sha256", hex) == NULL)
        return err_set(err, "out of memory");
    return 0;
}

int inputs_add(cJSON *object, int argc, char **argv, const struct input *inputs, int n, struct err *err)
{
    char now[32] = "";
    const time_t seconds = (time_t)clock_wall();
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    cJSON *o = cJSON_AddObjectToObject(object, "provenance");
    if (o == NULL || cJSON_AddStringToObject(o, "dinf_version", dinf_version()) == NULL ||
        cJSON_AddStringToObject(o, "revision", dinf_revision()) == NULL || provenance_libraries(o) != 0 ||
        cJSON_AddStringToObject(o, "time", now) == NULL)
        return err_set(err, "out of memory");
    cJSON *command = cJSON_AddArrayToObject(o, "command"), *files = cJSON_AddArrayToObject(o, "inputs");
    for (int i = -1; command != NULL && files != NULL && i < argc; i++) {
        cJSON *word = cJSON_CreateString(i < 0 ? "dinf" : argv[i]);
        if (word == NULL || !cJSON_AddItemToArray(command, word))
            return err_set(err, "out of memory");
    }
    for (int i = 0; i < n; i++)
        if (inputs[i].file[0] != '\0' && add_input(files, &inputs[i], err) != 0)
            return -1;
    return command != NULL && files != NULL ? 0 : err_set(err, "out of memory");
}
