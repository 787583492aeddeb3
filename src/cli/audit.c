/* dinf audit: a verdict from three representation files. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/audit.h"
#include "cli/merge.h"
#include "store/matrix_file.h"

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
    { "seed", OPTION_INT, offsetof(struct audit_options, inference.seed), "0", 0, OPTION_INT_MAX, NULL, NULL,
      "of cuts and of the mixtures' starts" },
    OPTION(normalize, OPTION_CHOICE, "l2", 0, 0, rows_preparations,
           "of the files' rows: l2, as a campaign does; standardize each dimension and then l2; none (as they are)"),
    OPTION(splits, OPTION_INT, "5", 1, SPLITS_MAX, NULL,
           "the files' own cut and further ones of `fit` and `members` together; the verdict rests on twice the median "
           "p. 1: the files' alone"),
    OPTION(images_fit, OPTION_STRING, "", 0, 0, NULL,
           "images of members, .npy of integers of 0 to 255 or floats, (n, c, h, w) or (n, h, w, c); with "
           "--images-heldout: do both "
           "differ in brightness, contrast or sharpness?"),
    OPTION(images_heldout, OPTION_STRING, "", 0, 0, NULL, "the held-out images"),
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

/* What would have no effect is refused, and what needs its other half. */
static int check_options(const struct audit_options *o, const bool *given, const struct option *table, struct err *err)
{
    if (strcmp(o->statistic, "learned") == 0 && given[option_find(table, "components") - table])
        return err_set(err, "--components has no effect: the statistic learned fits mixtures of 1 to 5 components");
    if ((o->images_fit[0] == '\0') != (o->images_heldout[0] == '\0'))
        return err_set(err, "--images-fit and --images-heldout are compared with each other: give both or none");
    return 0;
}

/* Reads the rows, tests them and draws the conclusion. */
static int audit(struct device *dev, const struct audit_options *o, struct part parts[3], struct audit_report *r,
                 struct err *err)
{
    const struct part *fit = &parts[0], *members = &parts[1], *heldout = &parts[2];
    const uint64_t seed = (uint64_t)o->inference.seed;
    r->n_fit = fit->n;
    r->shift = (struct image_shift){ NAN, NAN };
    if (exchangeable_test(fit->x, fit->n, members->x, members->n, fit->d, seed, &r->cut, err) != 0 ||
        parts_prepare(o->normalize, fit, members, heldout, err) != 0 ||
        (o->images_fit[0] != '\0' && audit_images(dev, o, &r->shift, err) != 0))
        return -1;
    struct inference_data data = { .d = fit->d,
                                   .n_fit = fit->n,
                                   .n_members = members->n,
                                   .n_heldout = heldout->n,
                                   .fit = fit->x,
                                   .members = members->x,
                                   .heldout = heldout->x };
    if (splits_run(dev, statistic_find(o->statistic), &data, &o->inference, o->splits, &r->own, &r->splits, err) != 0)
        return -1;
    audit_conclude(o, r);
    return 0;
}

int cli_audit(int argc, char **argv)
{
    struct err err;
    struct option table[MERGED_OPTIONS];
    bool given[MERGED_OPTIONS];
    struct audit_options o;
    struct part parts[3] = { 0 };
    struct device *dev = NULL;
    int n_operands, status = EXIT_USAGE;
    options_merge(own_options, inference_options_table, table);
    int rc = cli_parse_given(argc, argv, "audit --fit F --members M --heldout H [options]",
                             "Dataset inference: are the members significantly more likely than held-out\n"
                             "images? stolen: yes. inconclusive: not shown, which is not innocence. Both\n"
                             "hold if held-out images differ from members in nothing but that the encoder\n"
                             "was not trained on them. Exit status 0 whatever the verdict.",
                             table, &o, given, NULL, 0, &n_operands, &err);
    if (rc != 0)
        return rc > 0 ? EXIT_DONE : cli_error(&err);
    struct audit_report *r = mem_alloc(1, sizeof *r, &err);
    if (r == NULL || check_options(&o, given, table, &err) != 0 ||
        parts_read(&o, &parts[0], &parts[1], &parts[2], &err) != 0)
        goto out;
    dev = device_open(o.device, cli_threads(o.threads), &err);
    if (dev == NULL || audit(dev, &o, parts, r, &err) != 0)
        goto out;
    if (!o.json)
        audit_print_text(&o, r);
    else if (audit_print_json(&o, r, argc, argv, &err) != 0)
        goto out;
    status = EXIT_DONE;
out:
    if (status != EXIT_DONE)
        cli_error(&err);
    if (r != NULL)
        inference_result_fini(&r->own);
    mem_free(r);
    device_close(dev);
    for (int i = 0; i < 3; i++)
        mem_free(parts[i].x);
    return status;
}
