/* The augmentations by name: one table of options with presets each. */
#include "nn/augment.h"

#include <stddef.h>
#include <string.h>

#include "base/names.h"

#define AUGMENT(id) extern const struct augment_kind augment_kind_##id;
#include "nn/augments.def"
#undef AUGMENT

const struct augment_kind *const augment_kinds[] = {
#define AUGMENT(id) &augment_kind_##id,
#include "nn/augments.def"
#undef AUGMENT
    NULL,
};
const char *const augment_names[] = {
#define AUGMENT(id) #id,
#include "nn/augments.def"
#undef AUGMENT
    NULL,
};

#define STRENGTH(field, preset, low, high, unit, text)                                                                 \
    {                                                                                                                  \
#field, OPTION_FLOAT, offsetof(struct augment_strength, field), preset, low, high, NULL, unit, text            \
    }

/* The strengths as options, all presets at a glance. */
#define STRENGTHS(crop, flipped, jittered, bright, contrasted, saturated, hued, greyed, blurred)                       \
    {                                                                                                                  \
        STRENGTH(crop_min, crop, 1e-4, 1, NULL, "smallest area of the resized crop, as a share of the image"),         \
            STRENGTH(crop_max, "1", 1e-4, 1, NULL, "largest area of the resized crop"),                                \
            STRENGTH(flip, flipped, 0, 1, NULL, "probability of a horizontal flip"),                                   \
            STRENGTH(jitter, jittered, 0, 1, NULL, "probability of colour jitter"),                                    \
            STRENGTH(brightness, bright, 0, 10, NULL, "brightness factor lies in 1 +- this"),                          \
            STRENGTH(contrast, contrasted, 0, 10, NULL, "contrast factor lies in 1 +- this"),                          \
            STRENGTH(saturation, saturated, 0, 10, NULL, "saturation factor lies in 1 +- this"),                       \
            STRENGTH(hue, hued, 0, 0.5, "turns", "hue shift lies in +- this"),                                         \
            STRENGTH(grey, greyed, 0, 1, NULL, "probability of greyscale"),                                            \
            STRENGTH(blur, blurred, 0, 1, NULL, "probability of Gaussian blur"),                                       \
        {                                                                                                              \
            NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL                                                                   \
        }                                                                                                              \
    }

#define ROW(id, text, table)                                                                                           \
    const struct augment_kind augment_kind_##id = {                                                                    \
        { .name = #id, .help = text, .options = table, .options_size = sizeof(struct augment_strength) }               \
    };

static const struct option none_options[] = { OPTION_END };
static const struct option simclr_options[] = STRENGTHS("0.08", "0.5", "0.8", "0.8", "0.8", "0.8", "0.2", "0.2", "1");
static const struct option weak_options[] = STRENGTHS("0.8", "0.5", "0.5", "0.2", "0.2", "0.2", "0.05", "0", "0");

ROW(none, "the whole image, unchanged", none_options)
ROW(simclr, "SimCLR's: resized crop, flip, strong colour jitter, greyscale, blur", simclr_options)
ROW(weak, "large crops, flip, light colour jitter", weak_options)

const struct augment_kind *augment_find(const char *name, struct err *err)
{
    int i = names_find("augmentation", name, augment_names, err);
    return i < 0 ? NULL : augment_kinds[i];
}

bool augment_takes(const char *option)
{
    bool takes = strcmp(option, "augment") == 0;
    for (int i = 0; augment_kinds[i] != NULL; i++)
        takes = takes || option_find(augment_kinds[i]->row.options, option) != NULL;
    return takes;
}

int augment_parse(const cJSON *object, const char *preset, struct augment_strength *strength, struct err *err)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(object, "augment");
    const struct augment_kind *kind = augment_find(cJSON_IsString(name) ? name->valuestring : preset, err);
    *strength = (struct augment_strength){ .crop_min = 1, .crop_max = 1 };
    if (kind == NULL || options_from_json(kind->row.options, object, strength, err) != 0)
        return -1;
    if (strength->crop_min > strength->crop_max)
        return err_set(err, "crop_min = %g is larger than crop_max = %g", strength->crop_min, strength->crop_max);
    return 0;
}

void augment_contradictions(const cJSON *object, const struct complaints *to)
{
    const cJSON *min = cJSON_GetObjectItemCaseSensitive(object, "crop_min"),
                *max = cJSON_GetObjectItemCaseSensitive(object, "crop_max");
    if (cJSON_IsNumber(min) && cJSON_IsNumber(max) && min->valuedouble > max->valuedouble)
        complain(to, "crop_min", "crop_max", "crop_min = %g is larger than crop_max = %g", min->valuedouble,
                 max->valuedouble);
}

int augment_query_parse(const cJSON *object, struct augment_strength *strength, uint64_t *seed, struct err *err)
{
    const cJSON *s = cJSON_GetObjectItemCaseSensitive(object, "seed");
    *seed = cJSON_IsNumber(s) && s->valuedouble > 0 ? (uint64_t)s->valuedouble : 0;
    return augment_parse(object, "none", strength, err);
}
