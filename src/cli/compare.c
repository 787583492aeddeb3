/* dinf compare: how alike two encoders' representations of the same images are. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/wrap.h"
#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "device/device.h"
#include "stats/similarity.h"
#include "store/matrix_file.h"

struct compare_options {
    char device[OPTION_TEXT];
    int64_t threads;
    bool json;
};

#define OPTION(name, type, preset, min, max, help)                                                                     \
    OPTION_OF(struct compare_options, name, type, preset, min, max, NULL, NULL, help)
static const struct option options[] = {
    OPTION(device, OPTION_STRING, "auto", 0, 0, "see `dinf list devices`"),
    OPTION(threads, OPTION_INT, "0", 0, 4096, "0: all processors"),
    OPTION(json, OPTION_BOOL, "false", 0, 0, "one JSON object on standard output"),
    OPTION_END,
};

static void add_estimate(cJSON *j, const char *name, struct estimate e)
{
    char ci[64];
    snprintf(ci, sizeof ci, "%s_ci", name);
    json_add_number(j, name, e.value);
    json_add_number(j, ci, e.ci);
}

/* Why there is no number, "" where there is. */
static const char *reason(const struct similarity *s, const struct information *mi)
{
    return s->reason[0] != '\0' ? s->reason : mi->reason;
}

static cJSON *as_json(int64_t n, int64_t da, int64_t db, const struct similarity *s, const struct information *mi)
{
    cJSON *j = cJSON_CreateObject();
    cJSON_AddNumberToObject(j, "n", (double)n);
    cJSON_AddNumberToObject(j, "dim_a", (double)da);
    cJSON_AddNumberToObject(j, "dim_b", (double)db);
    add_estimate(j, "cosine", s->cosine);
    add_estimate(j, "cosine_abs", s->cosine_abs);
    add_estimate(j, "l1", s->l1);
    add_estimate(j, "l2", s->l2);
    add_estimate(j, "linf", s->linf);
    add_estimate(j, "l2_score", s->l2_score);
    add_estimate(j, "mutual_information", mi->nats);
    cJSON_AddNumberToObject(j, "duplicates", (double)mi->duplicates);
    if (reason(s, mi)[0] != '\0')
        cJSON_AddStringToObject(j, "reason", reason(s, mi));
    if (mi->warning[0] != '\0')
        cJSON_AddStringToObject(j, "warning", mi->warning);
    return j;
}

static int print_json(cJSON *j, int argc, char **argv, const char *const files[2], struct err *err)
{
    const struct input inputs[] = { { "A", files[0] }, { "B", files[1] } };
    if (inputs_add(j, argc, argv, inputs, 2, err) == 0) {
        json_print(j);
        return 0;
    }
    cJSON_Delete(j);
    return -1;
}

enum { LABEL = 21 }; /* columns */

static void print_estimate(const char *name, struct estimate e)
{
    printf("%-*s%10.6f  +- %.6f\n", LABEL, name, e.value, e.ci);
}

static void print_text(int64_t n, int64_t da, int64_t db, const struct similarity *s, const struct information *mi)
{
    printf("%lld images, %lld and %lld dimensions (centred, rows normalised)\n", (long long)n, (long long)da,
           (long long)db);
    if (da == db) {
        print_estimate("cosine", s->cosine);
        print_estimate("|cosine|", s->cosine_abs);
        print_estimate("L1 distance", s->l1);
        print_estimate("L2 distance", s->l2);
        print_estimate("Linf distance", s->linf);
        print_estimate("L2 score", s->l2_score);
    } else {
        printf("cosine and distances need equal dimensions\n");
    }
    printf("%-*s%10.4f    +- %.4f nats\n", LABEL, "mutual information", mi->nats.value, mi->nats.ci);
    wrap_row("+-", LABEL, "99%% intervals over images; an estimator's bias is not in them");
    if (mi->duplicates > 0 && mi->reason[0] == '\0')
        printf("%lld images are left out of it: another has exactly the same representation\n",
               (long long)mi->duplicates);
    if (mi->warning[0] != '\0')
        wrap_row("warning", LABEL, "%s", mi->warning);
    if (reason(s, mi)[0] != '\0')
        wrap_row("nan", LABEL, "%s", reason(s, mi));
}

int cli_compare(int argc, char **argv)
{
    struct err err;
    struct compare_options o;
    const char *files[2];
    int n_files, status = EXIT_USAGE;
    double *a = NULL, *b = NULL;
    int64_t na, nb, da, db;
    const struct estimate none = { NAN, NAN };
    struct similarity s = { none, none, none, none, none, none, "" };
    struct information mi;
    struct device *dev = NULL;
    int rc = cli_parse(argc, argv, "compare A B [options]",
                       "Cosine, distances and mutual information of two representation files (.npy or\n"
                       "FILE.h5:/path), row i of both being the same image. Cosine and distances are of\n"
                       "centred, normalised rows and need equal dimensions. Intervals are 99% (2.576\n"
                       "standard errors over images); that of the mutual information says nothing of\n"
                       "its bias. Where a representation has collapsed there is no number, but a reason.",
                       options, &o, files, 2, &n_files, &err);
    if (rc != 0)
        return rc > 0 ? EXIT_DONE : cli_error(&err);
    if (n_files != 2) {
        err_set(&err, "two representation files are wanted (usage: dinf compare A B)");
        goto out;
    }
    if (matrix_read(files[0], &na, &da, &a, &err) != 0 || matrix_read(files[1], &nb, &db, &b, &err) != 0)
        goto out;
    if (na != nb) {
        err_set(&err, "%s has %lld rows, %s has %lld: the same images are wanted", files[0], (long long)na, files[1],
                (long long)nb);
        goto out;
    }
    dev = device_open(o.device, cli_threads(o.threads), &err);
    if (dev == NULL || (da == db && similarity_compute(a, b, na, da, &s, &err) != 0) ||
        mutual_information(dev, a, da, b, db, na, &mi, &err) != 0)
        goto out;
    if (!o.json)
        print_text(na, da, db, &s, &mi);
    else if (print_json(as_json(na, da, db, &s, &mi), argc, argv, files, &err) != 0)
        goto out;
    status = EXIT_DONE;
out:
    if (status != EXIT_DONE)
        cli_error(&err);
    device_close(dev);
    mem_free(a);
    mem_free(b);
    return status;
}
