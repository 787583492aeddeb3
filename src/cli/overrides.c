/* --set may be given many times, which no option table expresses. */
#include "cli/overrides.h"

#include <stdio.h>
#include <string.h>

int overrides_take(int *argc, char **argv, struct overrides *out, struct err *err)
{
    int kept = 0;
    out->n = 0;
    for (int i = 0; i < *argc; i++) {
        const char *value;
        if (strcmp(argv[i], "--set") == 0) {
            if (i + 1 == *argc)
                return err_set(err, "--set wants PATH=VALUE");
            value = argv[++i];
        } else if (strncmp(argv[i], "--set=", 6) == 0) {
            value = argv[i] + 6;
        } else {
            argv[kept++] = argv[i];
            continue;
        }
        if (strchr(value, '=') == NULL)
            return err_set(err, "--set wants PATH=VALUE, not '%s'", value);
        if (out->n == OVERRIDES_MAX)
            return err_set(err, "more than %d times --set", OVERRIDES_MAX);
        out->v[out->n++] = value;
    }
    *argc = kept;
    return 0;
}

int config_to_plan(const char *path, const struct overrides *set, struct plan **plan, struct err *err)
{
    *plan = NULL;
    struct conf *conf = conf_load(path, set->v, set->n, err);
    if (conf == NULL)
        return -1;
    int rc = conf->n_errors > 0 ? -1 : plan_build(conf, plan, err);
    for (int i = 0; i < conf->n_errors; i++)
        fprintf(stderr, "error: %s\n", conf->errors[i]);
    if (rc != 0 && conf->n_errors > 0)
        err->text[0] = '\0';
    conf_destroy(conf);
    return rc;
}
