/* Options of a training that contradict each other, found before anything starts.
 * What is not known yet is not complained about; trainer_create and the loss check
 * once more, on the real data. */
#include <string.h>

#include "nn/arch.h"
#include "nn/augment.h"
#include "nn/loss.h"
#include "nn/query_views.h"

static const char *string_of(const cJSON *block, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(block, key);
    return cJSON_IsString(v) ? v->valuestring : NULL;
}

static void check_loss(enum training way, const cJSON *block, int64_t images, const struct complaints *to)
{
    struct err ignored;
    const char *name = string_of(block, "loss");
    const struct loss_kind *loss = name == NULL ? NULL : loss_find(name, &ignored);
    const cJSON *batch = cJSON_GetObjectItemCaseSensitive(block, "batch");
    if (loss == NULL)
        return;
    if (way == TRAINING_SELF && loss->views == 0)
        complain(to, "loss", NULL, "the loss %s needs a victim's answers: it is for thefts", name);
    if (way == TRAINING_THEFT && !loss->accepts_targets)
        complain(to, "loss", NULL, "the loss %s has no use for a victim's answers: it is not for thefts", name);
    if (cJSON_IsNumber(batch) && batch->valuedouble < loss->least_images)
        complain(to, "batch", "loss", "batch = %g is too few: the loss %s needs %d images in a step",
                 batch->valuedouble, name, loss->least_images);
    if (images > 0 && images < loss->least_images)
        complain(to, way == TRAINING_SELF ? "dataset" : "budgets", NULL,
                 "%lld image%s to train on, but the loss %s needs %d in a step", (long long)images,
                 images == 1 ? "" : "s", name, loss->least_images);
}

/* Length of the representation; 0: not known. */
static int dim_of(const cJSON *block)
{
    return string_of(block, "arch") == NULL || !cJSON_HasObjectItem(block, "width") ? 0 : encoder_dim_of(block);
}

static void check_answers(const cJSON *block, const cJSON *victim, const struct complaints *to)
{
    const char *head = string_of(block, "head");
    int dim = dim_of(block), wanted = victim == NULL ? 0 : dim_of(victim);
    if (head != NULL && strcmp(head, "none") == 0 && dim > 0 && wanted > 0 && dim != wanted)
        complain(to, "arch", "width",
                 "the thief's representation has %d dimensions, the victim's answers have %d: choose another arch or "
                 "width, or head = \"mlp\"",
                 dim, wanted);
}

void training_check(enum training way, const cJSON *block, int64_t images, const cJSON *victim,
                    const struct complaints *to)
{
    check_loss(way, block, images, to);
    if (way == TRAINING_SELF) {
        augment_contradictions(block, to);
        return;
    }
    const char *batch_norm = string_of(block, "batch_norm");
    if (batch_norm != NULL && strcmp(batch_norm, "joint") != 0)
        complain(to, "batch_norm", NULL,
                 "a theft has one view of an image in a step: batch_norm = \"%s\" means nothing", batch_norm);
    check_answers(block, victim, to);
}

void query_check(const cJSON *block, const struct complaints *to)
{
    augment_contradictions(block, to);
}
