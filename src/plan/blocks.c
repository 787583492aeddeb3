/* What a config consists of, in the order in which one writes it. */
#include "plan/blocks.h"

const struct plan_block plan_blocks[] = {
    { "campaign", "the run as a whole", campaign_options },
    { "datasets: a source", "name, the options of its format (see `dinf list datasets`), and", source_options },
    { "datasets: a subset", "name, of = another set's name, and", subset_options },
    { "datasets: a union", "name, parts = ( names of sets or subsets without name, ... )", NULL },
    { "encoders",
      "train = { dataset, ... }, or weights with the options of `import`, or (of a "
      "suspect) representations = { members = \"M.npy\"; heldout = \"H.npy\"; }, files "
      "of the victim's two sets, row i being image i; and",
      encoder_block_options },
    { "encoders: train",
      "dataset and the options of the task train, its arch, loss, optimizer and "
      "augment (`dinf list tasks|archs|losses|optimizers|augments`); lists sweep",
      NULL },
    { "steal",
      "victim, queries (sets), budgets (images), query = { the options of the task "
      "query and of its augment }, name (a suffix), and the options of the task "
      "steal, its arch, loss and optimizer; lists sweep",
      NULL },
    { "evaluate", "dataset_inference = { ... }, similarity = { ... }: see `dinf list tasks`", NULL },
    { "mock", "name, after (an earlier block's name), the options of the task mock, and", mock_block_options },
    { NULL, NULL, NULL },
};
