/* dinf generate: the procedural image set as files. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/merge.h"
#include "data/procedural/procedural.h"

struct generate_options {
    struct procedural_options set; /* first: its table's offsets hold here */
    char out[OPTION_TEXT];
};

static const struct option own_options[] = {
    { "out", OPTION_STRING, offsetof(struct generate_options, out), NULL, 0, 0, NULL, NULL,
      "folder for the files, in CIFAR-10 binary format" },
    OPTION_END,
};

int cli_generate(int argc, char **argv)
{
    struct err err;
    struct generate_options o;
    struct option table[MERGED_OPTIONS];
    int unused;
    options_merge(own_options, procedural_option_table, table);
    int rc = cli_parse(argc, argv, "generate --out FOLDER [options]",
                       "Writes the procedural image set in CIFAR-10 binary format, as a config's data\n"
                       "set with format = \"procedural\" and the same options has it. To read the files:\n"
                       "format = \"cifar10\" with classes as given here.",
                       table, &o, NULL, 0, &unused, &err);
    if (rc != 0)
        return rc > 0 ? EXIT_DONE : cli_error(&err);
    if (procedural_write(&o.set, o.out, &err) != 0)
        return cli_error(&err);
    printf("%s: %lld images of %lld classes\n", o.out, (long long)o.set.count, (long long)o.set.classes);
    return EXIT_DONE;
}
