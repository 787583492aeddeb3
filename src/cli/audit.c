/* dinf audit: a verdict from three representation files. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/table.h"
#include "stats/inference.h"
#include "store/matrix_file.h"

struct audit_options {
    struct inference_options inference; /* first: its table's offsets hold here */
    char fit[OPTION_TEXT], members[OPTION_TEXT], heldout[OPTION_TEXT];
    char statistic[OPTION_NAME], normalize[OPTION_NAME], device[OPTION_TEXT];
    int64_t threads;
    bool json;
};

#define OPTION(name, type, preset, min, max, choices, help)                                                            \
    OPTION_OF(struct audit_options, name, type, preset, min, max, choices, NULL, help)
static const struct option own_options[] = {
    OPTION(fit, OPTION_STRING, NULL, 0, 0, NULL, "representations of half of the members (.npy or FILE.h5:/path)"),
    OPTION(members, OPTION_STRING, NULL, 0, 0, NULL, "representations of the other half"),
    OPTION(heldout, OPTION_STRING, NULL, 0, 0, NULL,
           "representations of held-out images of the same distribution; the statistic learned cuts this file by the "
           "seed in the proportion of the rows in `fit` and `members`: one part is learned from, the other is tested"),
    OPTION(statistic, OPTION_CHOICE, "gap", 0, 0, statistic_names,
           "gap: the paper's: one mixture on `fit`, are members likelier? learned: a score learned on `fit` and a part "
           "of `heldout`, so that a gap of either sign counts"),
    { "seed", OPTION_INT, offsetof(struct audit_options, inference.seed), "0", 0, 9007199254740992.0, NULL, NULL,
      "of cuts and of the mixtures' starts" },
    OPTION(normalize, OPTION_CHOICE, "none", 0, 0, rows_preparations,
           "of the files' rows: none (as they are), l2, or standardize each dimension and then l2"),
    OPTION(device, OPTION_STRING, "auto", 0, 0, NULL, "see `dinf list devices`"),
    OPTION(threads, OPTION_INT, "0", 0, 4096, NULL, "0: all processors"),
    OPTION(json, OPTION_BOOL, "false", 0, 0, NULL, "one JSON object on standard output"),
    OPTION_END,
};

struct part {
    int64_t n, d;
    double *x;
};

static int parts_read(const struct audit_options *o, struct part *fit, struct part *members, struct part *heldout,
                      struct err *err)
{
    if (matrix_read(o->fit, &fit->n, &fit->d, &fit->x, err) != 0 ||
        matrix_read(o->members, &members->n, &members->d, &members->x, err) != 0 ||
        matrix_read(o->heldout, &heldout->n, &heldout->d, &heldout->x, err) != 0)
        return -1;
    if (members->d != fit->d)
        return err_set(err, "%s has %lld columns, %s has %lld", o->members, (long long)members->d, o->fit,
                       (long long)fit->d);
    if (heldout->d != fit->d)
        return err_set(err, "%s has %lld columns, %s has %lld", o->heldout, (long long)heldout->d, o->fit,
                       (long long)fit->d);
    return 0;
}

static int parts_prepare(const char *how, const struct part *fit, const struct part *members,
                         const struct part *heldout, struct err *err)
{
    double *rows[] = { fit->x, members->x, heldout->x };
    int64_t n[] = { fit->n, members->n, heldout->n };
    return rows_prepare(how, rows, n, 3, fit->d, err);
}

static void print_json(const struct audit_options *o, const struct inference_result *v, int64_t n_fit)
{
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "statistic", o->statistic);
    cJSON_AddNumberToObject(j, "n_fit", (double)n_fit);
    cJSON_AddNumberToObject(j, "n_members", (double)v->n_members);
    cJSON_AddNumberToObject(j, "n_heldout", (double)v->n_heldout);
    cJSON_AddNumberToObject(j, "dim", (double)v->dim);
    json_add_number(j, "components", v->components > 0 ? (double)v->components : NAN);
    cJSON_AddStringToObject(j, "covariance", o->inference.covariance);
    cJSON_AddStringToObject(j, "normalize", o->normalize);
    cJSON_AddNumberToObject(j, "seed", (double)o->inference.seed);
    cJSON_AddItemToObject(j, "converged", v->mixtures > 0 ? cJSON_CreateBool(v->unconverged == 0) : cJSON_CreateNull());
    json_add_number(j, "loglik_members", v->loglik_members);
    json_add_number(j, "loglik_heldout", v->loglik_heldout);
    json_add_number(j, "gap", v->gap);
    json_add_number(j, "t", v->t);
    json_add_number(j, "df", v->df);
    json_add_number(j, "p_value", v->p_value);
    json_add_number(j, "log10_p", v->log10_p);
    json_add_number(j, "cohen_d", v->cohen_d);
    json_add_number(j, "alpha", v->alpha);
    cJSON_AddStringToObject(j, "verdict", v->verdict);
    if (v->reason[0] != '\0')
        cJSON_AddStringToObject(j, "reason", v->reason);
    json_print(j);
}

static void print_text(const struct audit_options *o, const struct inference_result *v, int64_t n_fit)
{
    printf("statistic       %s, seed %lld\n", o->statistic, (long long)o->inference.seed);
    if (v->components > 0)
        printf("mixture         %lld components, %s covariance, fitted on %lld members\n", (long long)v->components,
               o->inference.covariance, (long long)n_fit);
    if (v->unconverged > 0)
        printf("convergence     not reached: %lld of %lld mixture%s stopped at max_iterations = %lld\n",
               (long long)v->unconverged, (long long)v->mixtures, v->mixtures == 1 ? "" : "s",
               (long long)o->inference.max_iterations);
    else if (v->mixtures > 0)
        printf("convergence     reached by %s\n", v->mixtures == 1 ? "the mixture" : "all mixtures");
    printf("tested          %lld members, %lld held-out images, %lld dimensions\n", (long long)v->n_members,
           (long long)v->n_heldout, (long long)v->dim);
    printf("mean score      members %.6g, held-out %.6g, gap %.6g\n", v->loglik_members, v->loglik_heldout, v->gap);
    printf("Welch's test    t = %.4g, df = %.4g, one-sided p = %.4g (log10 p = %.4g)\n", v->t, v->df, v->p_value,
           v->log10_p);
    printf("effect          Cohen's d = %.4g\n", v->cohen_d);
    printf("verdict         %s (alpha %g)\n", v->verdict, v->alpha);
    if (v->reason[0] != '\0')
        printf("because         %s\n", v->reason);
}

int cli_audit(int argc, char **argv)
{
    struct err err;
    struct option table[MERGED_OPTIONS];
    struct audit_options o;
    struct part fit = { 0 }, members = { 0 }, heldout = { 0 };
    struct inference_result v = { 0 };
    struct device *dev = NULL;
    int n_operands, status = EXIT_USAGE;
    options_merge(own_options, inference_options_table, table);
    int rc = cli_parse(argc, argv, "audit --fit F --members M --heldout H [options]",
                       "Dataset inference: are the members significantly more likely than held-out\n"
                       "images? stolen: yes. inconclusive: not shown, which is not innocence. Exit\n"
                       "status 0 whatever the verdict.",
                       table, &o, NULL, 0, &n_operands, &err);
    if (rc != 0)
        return rc > 0 ? EXIT_DONE : cli_error(&err);
    if (parts_read(&o, &fit, &members, &heldout, &err) != 0 ||
        parts_prepare(o.normalize, &fit, &members, &heldout, &err) != 0)
        goto out;
    dev = device_open(o.device, cli_threads(o.threads), &err);
    if (dev == NULL)
        goto out;
    struct inference_data data = { .d = fit.d,
                                   .n_fit = fit.n,
                                   .n_members = members.n,
                                   .n_heldout = heldout.n,
                                   .fit = fit.x,
                                   .members = members.x,
                                   .heldout = heldout.x };
    if (statistic_find(o.statistic)->run(dev, &data, &o.inference, &v, &err) != 0)
        goto out;
    if (o.json)
        print_json(&o, &v, fit.n);
    else
        print_text(&o, &v, fit.n);
    status = EXIT_DONE;
out:
    if (status != EXIT_DONE)
        cli_error(&err);
    inference_result_fini(&v);
    device_close(dev);
    mem_free(fit.x);
    mem_free(members.x);
    mem_free(heldout.x);
    return status;
}
