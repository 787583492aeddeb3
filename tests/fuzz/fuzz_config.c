/* Config files: parsed, bound to an option table, swept. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "fuzz.h"

struct options {
    int64_t number;
    double real;
    bool flag;
    char text[OPTION_TEXT], choice[OPTION_NAME];
    struct int_list numbers;
    struct string_list names;
};

static const char *const choices[] = { "one", "two", NULL };

static const struct option table[] = {
    { "number", OPTION_INT, offsetof(struct options, number), "1", -5, 100, NULL, NULL, "a number" },
    { "real", OPTION_FLOAT, offsetof(struct options, real), "0.5", 0, 1, NULL, "s", "a real number" },
    { "flag", OPTION_BOOL, offsetof(struct options, flag), "true", 0, 0, NULL, NULL, "a flag" },
    { "text", OPTION_STRING, offsetof(struct options, text), NULL, 0, 0, NULL, NULL, "a text" },
    { "choice", OPTION_CHOICE, offsetof(struct options, choice), "one", 0, 0, choices, NULL, "a choice" },
    { "numbers", OPTION_INTS, offsetof(struct options, numbers), "1,2", 0, 9, NULL, NULL, "numbers" },
    { "names", OPTION_STRINGS, offsetof(struct options, names), "", 0, 0, NULL, NULL, "names" },
    OPTION_END,
};

static void bind_and_sweep(struct conf *conf, const struct conf_node *group, struct err *err)
{
    static const char *const extra[] = { "name", NULL }, *const keep[] = { "numbers", "names", NULL };
    const struct option *tables[] = { table };
    cJSON *object = cJSON_CreateObject();
    struct conf_sweep sweep = { 0 };
    if (conf_bind(conf, group, tables, 1, extra, object) == 0) {
        static struct options o;
        FUZZ_CHECK(options_from_json(table, object, &o, err) == 0);
        char *text = json_canonical(object, err);
        FUZZ_CHECK(text != NULL);
        mem_free(text);
    }
    cJSON_Delete(object);
    if (conf_sweep(conf, group, keep, &sweep, err) == 0)
        conf_sweep_free(&sweep);
}

/* libconfig 1.5 forgets its scanner's strings after a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static char path[64];

static void forget(void)
{
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (!path[0]) {
        snprintf(path, sizeof path, "/dev/shm/dinf_fuzz_%d.cfg", (int)getpid());
        atexit(forget);
    }
    /* files of the machine are not input: an include would make a result depend on them */
    if (memmem(bytes, n, "@include", 8) != NULL)
        return 0;
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
    struct err err = { "" };
    struct conf *conf = conf_load(path, NULL, 0, &err);
    FUZZ_CHECK(conf != NULL);
    if (conf->n_errors == 0 && conf->root != NULL) {
        bind_and_sweep(conf, conf->root, &err);
        for (int i = 0; i < conf->root->n; i++)
            if (conf->root->children[i]->type == CONF_GROUP)
                bind_and_sweep(conf, conf->root->children[i], &err);
    }
    for (int i = 0; i < conf->n_errors; i++)
        FUZZ_CHECK(conf->errors[i][0]);
    conf_destroy(conf);
    return 0;
}
