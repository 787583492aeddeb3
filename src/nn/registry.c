/* The room's tables of kinds and options, and the way from a name to its row. */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/names.h"
#include "nn/query_views.h"
#include "nn/train_config.h"

#define ARCH(id) extern const struct arch_kind arch_kind_##id;
#include "nn/archs.def"
#undef ARCH
#define LOSS(id) extern const struct loss_kind loss_kind_##id;
#include "nn/losses.def"
#undef LOSS
#define OPTIMIZER(id) extern const struct optim_kind optim_kind_##id;
#include "nn/optimizers.def"
#undef OPTIMIZER

const struct arch_kind *const arch_kinds[] = {
#define ARCH(id) &arch_kind_##id,
#include "nn/archs.def"
#undef ARCH
    NULL,
};
const struct loss_kind *const loss_kinds[] = {
#define LOSS(id) &loss_kind_##id,
#include "nn/losses.def"
#undef LOSS
    NULL,
};
const struct optim_kind *const optim_kinds[] = {
#define OPTIMIZER(id) &optim_kind_##id,
#include "nn/optimizers.def"
#undef OPTIMIZER
    NULL,
};

const char *const arch_names[] = {
#define ARCH(id) #id,
#include "nn/archs.def"
#undef ARCH
    NULL,
};
static const char *const loss_names[] = {
#define LOSS(id) #id,
#include "nn/losses.def"
#undef LOSS
    NULL,
};
static const char *const optim_names[] = {
#define OPTIMIZER(id) #id,
#include "nn/optimizers.def"
#undef OPTIMIZER
    NULL,
};
const char *const stem_names[] = { "cifar", "imagenet", NULL };
static const char *const head_names[] = { "none", "mlp", NULL };
static const char *const batch_norm_names[] = { "joint", "per-view", NULL };

#define FIELD(field) offsetof(struct encoder_config, field)
const struct option encoder_options[] = {
    { "arch", OPTION_CHOICE, FIELD(arch), "resnet18", 0, 0, arch_names, NULL, "architecture" },
    OPTION_ROW_STEM(FIELD(stem)),
    OPTION_ROW_WIDTH(FIELD(width)),
    OPTION_END,
};
#undef FIELD

#define FIELD(field) offsetof(struct train_options, field)
const struct option train_options[] = {
    { "loss", OPTION_CHOICE, FIELD(loss), "infonce", 0, 0, loss_names, NULL,
      "what is minimised; its options go beside it" },
    { "optimizer", OPTION_CHOICE, FIELD(optimizer), "adam", 0, 0, optim_names, NULL,
      "how it is minimised; its options go beside it" },
    { "epochs", OPTION_INT, FIELD(epochs), "200", 1, 1e6, NULL, NULL, "passes over the images" },
    { "batch", OPTION_INT, FIELD(batch), "256", 1, 65536, NULL, "images",
      "images in a step; the last, smaller batch of an epoch is dropped" },
    { "lr", OPTION_FLOAT, FIELD(lr), "0.0003", 0, 100, NULL, NULL, "learning rate" },
    { "schedule", OPTION_CHOICE, FIELD(schedule), "cosine", 0, 0, schedule_names, NULL,
      "of the learning rate, per epoch: cosine falls to 0 after `hold` epochs" },
    { "hold", OPTION_INT, FIELD(hold), "10", 0, 1e6, NULL, "epochs", "epochs at full learning rate" },
    { "init", OPTION_STRING, FIELD(init), "", 0, 0, NULL, NULL, "safetensors file to start from" },
    { "precision", OPTION_CHOICE, FIELD(precision), "fp32", 0, 0, precision_names, NULL,
      "of the training: fp32, or on cuda tf32 or bf16 (weights and statistics stay fp32)" },
    { "batch_norm", OPTION_CHOICE | OPTION_LATER, FIELD(batch_norm), "joint", 0, 0, batch_norm_names, NULL,
      "statistics of a step: joint of all its images, or per-view, as if every view went through the network alone" },
    { "shuffle", OPTION_BOOL, FIELD(shuffle), "true", 0, 0, NULL, NULL,
      "new order of the images in every epoch; false: stored order, and the last images that fill no batch are never "
      "trained on" },
    { "max_steps", OPTION_INT, FIELD(max_steps), "0", 0, 1e12, NULL, "steps", "stop after so many; 0: never" },
    { "checkpoint_seconds", OPTION_FLOAT, FIELD(checkpoint_seconds), "60", 0, 1e9, NULL, "s",
      "least time between two checkpoints" },
    OPTION_END,
};
const struct option self_options[] = {
    { "augment", OPTION_CHOICE, FIELD(augment), "simclr", 0, 0, augment_names, NULL,
      "augmentation of the views; its options go beside it" },
    { "projector", OPTION_CHOICE, FIELD(projector), "mlp", 0, 0, head_names, NULL,
      "head while it is trained: Linear-ReLU-Linear or none" },
    { "projector_dim", OPTION_INT, FIELD(projector_dim), "128", 1, 65536, NULL, NULL, "outputs of the projector" },
    OPTION_END,
};
const struct option theft_options[] = {
    { "head", OPTION_CHOICE, FIELD(head), "none", 0, 0, head_names, NULL,
      "the thief's own head between its representation and the victim's answers" },
    OPTION_END,
};
#undef FIELD

const struct arch_kind *arch_find(const char *name, struct err *err)
{
    int i = names_find("architecture", name, arch_names, err);
    return i < 0 ? NULL : arch_kinds[i];
}

const struct loss_kind *loss_find(const char *name, struct err *err)
{
    int i = names_find("loss", name, loss_names, err);
    return i < 0 ? NULL : loss_kinds[i];
}

const struct optim_kind *optim_find(const char *name, struct err *err)
{
    int i = names_find("optimizer", name, optim_names, err);
    return i < 0 ? NULL : optim_kinds[i];
}

int encoder_config_parse(const cJSON *block, struct encoder_config *config, struct err *err)
{
    return options_from_json(encoder_options, block, config, err);
}

int encoder_dim_of(const cJSON *block)
{
    struct err ignored;
    struct encoder_config config;
    if (encoder_config_parse(block, &config, &ignored) != 0)
        return 0;
    const struct arch_kind *arch = arch_find(config.arch, &ignored);
    return arch == NULL ? 0 : arch->dim(arch, &config);
}

static int index_of(const char *name, const char *const *names)
{
    int i = 0;
    while (names[i] != NULL && strcmp(names[i], name) != 0)
        i++;
    return names[i] == NULL ? -1 : i;
}

/* Index of what the string member `key` of the block names: it, the nearest to it, or the preset. */
static int chosen(const cJSON *block, const char *key, const char *preset, const char *const *names)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(block, key);
    size_t n = 0;
    while (names[n] != NULL)
        n++;
    const char *name = cJSON_IsString(v) ? v->valuestring : preset;
    if (index_of(name, names) < 0)
        name = names_nearest(name, names, n);
    return index_of(name != NULL ? name : preset, names);
}

static const char *preset_of(const struct option *table, const char *name)
{
    return option_find(table, name)->preset;
}

int train_option_tables(enum training way, const cJSON *block, const struct option **tables, int max, struct err *err)
{
    const struct option *all[7] = { encoder_options, train_options };
    int n = 2;
    all[n++] = way == TRAINING_SELF ? self_options : theft_options;
    if (block != NULL) {
        all[n++] = arch_kinds[chosen(block, "arch", preset_of(encoder_options, "arch"), arch_names)]->row.options;
        all[n++] = loss_kinds[chosen(block, "loss", preset_of(train_options, "loss"), loss_names)]->row.options;
        all[n++] =
            optim_kinds[chosen(block, "optimizer", preset_of(train_options, "optimizer"), optim_names)]->row.options;
        if (way == TRAINING_SELF)
            all[n++] =
                augment_kinds[chosen(block, "augment", preset_of(self_options, "augment"), augment_names)]->row.options;
    }
    if (n > max)
        return err_set(err, "a training has %d option tables, room is for %d", n, max);
    memcpy(tables, all, (size_t)n * sizeof *tables);
    return n;
}

int query_view_tables(const cJSON *block, const struct option **tables, int max, struct err *err)
{
    if (block == NULL)
        return 0;
    if (max < 1)
        return err_set(err, "no room for the augmentation's options");
    tables[0] = augment_kinds[chosen(block, "augment", "none", augment_names)]->row.options;
    return 1;
}

static void *row_options(const struct nn_row *row, const cJSON *block, struct err *err)
{
    void *options = mem_alloc(1, row->options_size, err);
    if (options != NULL && options_from_json(row->options, block, options, err) != 0) {
        mem_free(options);
        return NULL;
    }
    return options;
}

int train_config_parse(const cJSON *block, struct train_config *c, struct err *err)
{
    *c = (struct train_config){ 0 };
    if (options_from_json(train_options, block, &c->o, err) != 0 ||
        options_from_json(self_options, block, &c->o, err) != 0 ||
        options_from_json(theft_options, block, &c->o, err) != 0 ||
        encoder_config_parse(block, &c->encoder, err) != 0 || augment_parse(block, c->o.augment, &c->augment, err) != 0)
        return -1;
    c->loss = loss_find(c->o.loss, err);
    c->optim = c->loss == NULL ? NULL : optim_find(c->o.optimizer, err);
    if (c->optim == NULL || (c->loss_options = row_options(&c->loss->row, block, err)) == NULL ||
        (c->optim_options = row_options(&c->optim->row, block, err)) == NULL) {
        train_config_fini(c);
        return -1;
    }
    return 0;
}

void train_config_fini(struct train_config *c)
{
    mem_free(c->loss_options);
    mem_free(c->optim_options);
    c->loss_options = c->optim_options = NULL;
}
