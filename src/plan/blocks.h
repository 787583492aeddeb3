/* The blocks of a config and what they take, for `dinf list blocks`. */
#ifndef DINF_PLAN_BLOCKS_H
#define DINF_PLAN_BLOCKS_H

#include "conf/option.h"

struct plan_block {
    const char *name, *help;
    const struct option *options; /* NULL: see help */
};

extern const struct plan_block plan_blocks[]; /* ended by name = NULL */

/* -- the tables, each beside the code that reads its block -- */
extern const struct option campaign_options[];
extern const struct option source_options[], subset_options[];
extern const struct option encoder_block_options[];
extern const struct option mock_block_options[];

#endif
