/* The parts of `dinf audit`. */
#ifndef DINF_CLI_AUDIT_H
#define DINF_CLI_AUDIT_H

#include "cli/cli.h"
#include "stats/exchangeable.h"
#include "stats/image_shift.h"
#include "stats/inference.h"
#include "stats/splits.h"

struct audit_options {
    struct inference_options inference; /* first: its table's offsets hold here */
    char fit[OPTION_TEXT], members[OPTION_TEXT], heldout[OPTION_TEXT];
    char images_fit[OPTION_TEXT], images_heldout[OPTION_TEXT]; /* "": not given */
    char statistic[OPTION_NAME], normalize[OPTION_NAME], device[OPTION_TEXT];
    int64_t splits, threads;
    bool json;
};

enum { AUDIT_WARNINGS = 8, AUDIT_TEXT = 320 };

struct audit_report {
    int64_t n_fit;
    struct inference_result own; /* of the files as they are */
    struct splits splits;
    struct exchangeable cut;  /* fit against members */
    struct image_shift shift; /* NAN without images */
    const char *verdict;
    char reason[AUDIT_TEXT]; /* why assumptions are violated, else "" */
    char warnings[AUDIT_WARNINGS][AUDIT_TEXT];
    int n_warnings;
};

/* The two files of images, compared. Errors name the file. */
int audit_images(struct device *dev, const struct audit_options *o, struct image_shift *out, struct err *err);

/* Decides, and collects what a reader should be warned of. */
void audit_conclude(const struct audit_options *o, struct audit_report *r);

/* With --json, warnings go to standard error as well. */
int audit_print_json(const struct audit_options *o, const struct audit_report *r, int argc, char **argv,
                     struct err *err);
void audit_print_text(const struct audit_options *o, const struct audit_report *r);

#endif
