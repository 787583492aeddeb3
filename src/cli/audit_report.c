/* What an audit concludes, and how it is told: the numbers, what they rest on, and what
 * they do not say. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/wrap.h"
#include "cli/audit.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "stats/effect.h"

static const char ASSUMPTION[] = "held-out images differ from members in nothing but that the encoder was not trained "
                                 "on them (same source, same preprocessing, drawn at random)";

/* What the verdict says and what it does not. */
static const char *meaning(const char *verdict)
{
    if (strcmp(verdict, "stolen") == 0)
        return "members score higher than held-out images";
    if (strcmp(verdict, "inconclusive") == 0)
        return "not shown that members score higher than held-out images, which is not innocence";
    return "the test says nothing";
}

static __attribute__((format(printf, 2, 3))) void warn(struct audit_report *r, const char *format, ...)
{
    va_list args;
    if (r->n_warnings == AUDIT_WARNINGS)
        return;
    va_start(args, format);
    vsnprintf(r->warnings[r->n_warnings++], AUDIT_TEXT, format, args);
    va_end(args);
}

static void collect_warnings(const struct audit_options *o, struct audit_report *r)
{
    const struct inference_result *v = &r->own;
    const enum covariance shape = strcmp(o->inference.covariance, "full") == 0 ? COVARIANCE_FULL : COVARIANCE_DIAG;
    const int64_t components = v->components > 0 ? v->components : 1; /* learned: the smallest of its mixtures, on */
    const int64_t rows = v->components > 0 ? r->n_fit : r->n_fit / 2; /* half of the rows */
    const int64_t parameters = gmm_parameters(components, v->dim, shape);
    if (v->mixtures > 0 && parameters > rows)
        warn(r,
             "a mixture of %lld component%s has %lld parameters and is fitted on %lld rows: members may be missed "
             "(%s%smore rows would help)",
             (long long)components, components == 1 ? "" : "s", (long long)parameters, (long long)rows,
             components > 1 ? "fewer --components or " : "", shape == COVARIANCE_FULL ? "--covariance diag or " : "");
    if (r->n_fit < v->dim)
        warn(r, "the rows to fit are fewer than the dimensions: %lld and %lld", (long long)r->n_fit, (long long)v->dim);
    if (v->unconverged > 0)
        warn(r, "%lld of %lld mixtures stopped before they converged (--max-iterations)", (long long)v->unconverged,
             (long long)v->mixtures);
    static const char *const sets[] = { "rows to fit", "members", "held-out rows" };
    for (int i = 0; i < 3; i++)
        if (v->repeated[i] > 0)
            warn(r, "%lld of the %s repeat other rows of the same set", (long long)v->repeated[i], sets[i]);
}

void audit_conclude(const struct audit_options *o, struct audit_report *r)
{
    collect_warnings(o, r);
    r->verdict = r->splits.verdict;
    snprintf(r->reason, sizeof r->reason, "%s", r->splits.reason);
    if (r->reason[0] == '\0' && r->cut.p < EXCHANGEABLE_LEVEL)
        snprintf(r->reason, sizeof r->reason,
                 "the members are not from the distribution of the rows to fit (p = %.2g, told apart with AUC %.3f): "
                 "another encoder, another scale, or lists that were not shuffled",
                 r->cut.p, r->cut.auc);
    if (r->reason[0] == '\0' && r->shift.p < IMAGE_SHIFT_LEVEL)
        snprintf(r->reason, sizeof r->reason,
                 "the held-out images differ from the members' in brightness, contrast or sharpness (p = %.2g, told "
                 "apart with AUC %.3f)",
                 r->shift.p, r->shift.auc);
    if (r->reason[0] != '\0')
        r->verdict = "assumptions violated";
}

static void add_split(const struct audit_options *o, cJSON *j, const struct audit_report *r)
{
    const struct inference_result *v = &r->own;
    const struct interval d = effect_interval(v->cohen_d, v->n_members, v->n_heldout);
    json_add_number(j, "cohen_d", v->cohen_d);
    json_add_number(j, "d_low", d.low);
    json_add_number(j, "d_high", d.high);
    json_add_number(j, "detectable_d",
                    effect_detectable(v->n_members, v->n_heldout, v->alpha / (o->splits > 1 ? 2.0 : 1.0)));
    json_add_number(j, "alpha", v->alpha);
    cJSON_AddNumberToObject(j, "splits", (double)r->splits.n);
    cJSON *p = cJSON_AddArrayToObject(j, "split_p_values");
    for (int64_t i = 0; i < r->splits.n; i++)
        cJSON_AddItemToArray(p, isfinite(r->splits.p[i]) ? cJSON_CreateNumber(r->splits.p[i]) : cJSON_CreateNull());
    json_add_number(j, "p_merged", r->splits.p_merged);
    json_add_number(j, "log10_p_merged", r->splits.log10_p_merged);
}

static void add_checks(cJSON *j, const struct audit_report *r)
{
    cJSON_AddNumberToObject(j, "repeated_fit", (double)r->own.repeated[0]);
    cJSON_AddNumberToObject(j, "repeated_members", (double)r->own.repeated[1]);
    cJSON_AddNumberToObject(j, "repeated_heldout", (double)r->own.repeated[2]);
    json_add_number(j, "exchangeable_p", r->cut.p);
    json_add_number(j, "exchangeable_auc", r->cut.auc);
    json_add_number(j, "images_p", r->shift.p);
    json_add_number(j, "images_auc", r->shift.auc);
}

int audit_print_json(const struct audit_options *o, const struct audit_report *r, int argc, char **argv,
                     struct err *err)
{
    const struct inference_result *v = &r->own;
    const struct input files[] = { { "fit", o->fit },
                                   { "members", o->members },
                                   { "heldout", o->heldout },
                                   { "images_fit", o->images_fit },
                                   { "images_heldout", o->images_heldout } };
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "statistic", o->statistic);
    cJSON_AddNumberToObject(j, "n_fit", (double)r->n_fit);
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
    add_split(o, j, r);
    add_checks(j, r);
    cJSON_AddStringToObject(j, "verdict", r->verdict);
    if (r->reason[0] != '\0')
        cJSON_AddStringToObject(j, "reason", r->reason);
    cJSON_AddStringToObject(j, "meaning", meaning(r->verdict));
    cJSON_AddStringToObject(j, "assumption", ASSUMPTION);
    cJSON *warnings = cJSON_AddArrayToObject(j, "warnings");
    for (int i = 0; i < r->n_warnings; i++) {
        cJSON_AddItemToArray(warnings, cJSON_CreateString(r->warnings[i]));
        fprintf(stderr, "warning: %s\n", r->warnings[i]);
    }
    if (inputs_add(j, argc, argv, files, sizeof files / sizeof *files, err) != 0) {
        cJSON_Delete(j);
        return -1;
    }
    json_print(j);
    return 0;
}

enum { LABEL = 16 }; /* columns */

static void print_test(const struct audit_options *o, const struct audit_report *r)
{
    const struct inference_result *v = &r->own;
    const struct interval d = effect_interval(v->cohen_d, v->n_members, v->n_heldout);
    wrap_row("tested", LABEL, "%lld members, %lld held-out images, %lld dimensions", (long long)v->n_members,
             (long long)v->n_heldout, (long long)v->dim);
    wrap_row("mean score", LABEL, "members %.6g, held-out %.6g, gap %.6g", v->loglik_members, v->loglik_heldout,
             v->gap);
    wrap_row("Welch's test", LABEL, "t = %.4g, df = %.4g, one-sided p = %.4g (log10 p = %.4g)", v->t, v->df, v->p_value,
             v->log10_p);
    if (r->splits.n > 1)
        wrap_row("splits", LABEL, "%lld, p = %.4g merged (twice the median)", (long long)r->splits.n,
                 r->splits.p_merged);
    wrap_row("effect", LABEL, "Cohen's d = %.4g (95%% interval %.4g to %.4g); %.4g would be found with 80%% power",
             v->cohen_d, d.low, d.high,
             effect_detectable(v->n_members, v->n_heldout, v->alpha / (o->splits > 1 ? 2.0 : 1.0)));
    if (isfinite(r->shift.p))
        wrap_row("images", LABEL, "members' and held-out ones told apart with AUC %.3f (p = %.2g)", r->shift.auc,
                 r->shift.p);
}

void audit_print_text(const struct audit_options *o, const struct audit_report *r)
{
    const struct inference_result *v = &r->own;
    wrap_row("statistic", LABEL, "%s, seed %lld, rows normalised: %s", o->statistic, (long long)o->inference.seed,
             o->normalize);
    if (v->components > 0)
        wrap_row("mixture", LABEL, "%lld component%s, %s covariance, fitted on %lld members", (long long)v->components,
                 v->components == 1 ? "" : "s", o->inference.covariance, (long long)r->n_fit);
    if (v->unconverged > 0)
        wrap_row("convergence", LABEL, "not reached: %lld of %lld mixture%s stopped at max_iterations = %lld",
                 (long long)v->unconverged, (long long)v->mixtures, v->mixtures == 1 ? "" : "s",
                 (long long)o->inference.max_iterations);
    else if (v->mixtures > 0)
        wrap_row("convergence", LABEL, "reached by %s", v->mixtures == 1 ? "the mixture" : "all mixtures");
    print_test(o, r);
    wrap_row("verdict", LABEL, "%s (alpha %g)", r->verdict, v->alpha);
    if (r->reason[0] != '\0')
        wrap_row("because", LABEL, "%s", r->reason);
    wrap_row("meaning", LABEL, "%s", meaning(r->verdict));
    wrap_row("assuming", LABEL, "%s", ASSUMPTION);
    for (int i = 0; i < r->n_warnings; i++)
        wrap_row("warning", LABEL, "%s", r->warnings[i]);
}
