/* Encoders and their training: what tasks use of this room. */
#ifndef DINF_NN_NN_H
#define DINF_NN_NN_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/option.h"
#include "data/dataset.h"
#include "device/device.h"

/* Tables (X-macro expanded): archs.def, losses.def, optimizers.def,
 * augments.def. Rows have name, help, options, options_size first. */
enum { NN_OPERATIONS = 9 };

struct nn_row {
    const char *name, *help;
    const struct option *options; /* ended by name = NULL; may be empty */
    size_t options_size;
    /* What it takes of device/ops.def besides the layers; ended by NULL. */
    const char *operations[NN_OPERATIONS];
};
struct arch_kind;    /* nn/arch.h  */
struct loss_kind;    /* nn/loss.h  */
struct optim_kind;   /* nn/optim.h */
struct augment_kind; /* nn/augment.h */
/* Each begins with its nn_row; NULL-terminated. */
extern const struct arch_kind *const arch_kinds[];
extern const struct loss_kind *const loss_kinds[];
extern const struct optim_kind *const optim_kinds[];
extern const struct augment_kind *const augment_kinds[];

/* Choices of `arch`, `stem` and `augment`; NULL-terminated. */
extern const char *const arch_names[], *const stem_names[], *const augment_names[];

/* Rows for the option tables of whoever describes an encoder. */
#define OPTION_ROW_STEM(at)                                                                                            \
    {                                                                                                                  \
        "stem", OPTION_CHOICE, at, "cifar", 0, 0, stem_names, NULL,                                                    \
            "first layers: cifar for small images, imagenet for large ones"                                            \
    }
#define OPTION_ROW_WIDTH(at)                                                                                           \
    {                                                                                                                  \
        "width", OPTION_FLOAT, at, "1", 0.015625, 16, NULL, NULL, "multiplies the number of channels"                  \
    }
/* ... and how foreign weights call their tensors, into struct encoder_names; */
#define OPTION_ROW_STRIP(at)                                                                                           \
    {                                                                                                                  \
        "strip", OPTION_STRING, at, "", 0, 0, NULL, NULL,                                                              \
            "prefix of the encoder's tensors, such as module.encoder_q.: what has another one is ignored"              \
    }
#define OPTION_ROW_RENAME(at)                                                                                          \
    {                                                                                                                  \
        "rename", OPTION_STRINGS | OPTION_LATER, at, "", 0, 0, NULL, NULL,                                             \
            "A=B: names that begin with the part A, behind the prefix, begin with B, such as 0=conv1; of several the " \
            "first that fits"                                                                                          \
    }
/* ... and the normalisation of foreign weights' input: where nothing is known, that of torchvision's models. */
#define OPTION_ROW_MEAN(at)                                                                                            \
    {                                                                                                                  \
        "mean", OPTION_TRIPLE, at, "0.485,0.456,0.406", -10, 10, NULL, NULL,                                           \
            "of each channel of the images it was trained on, on the 0..1 scale; default: ImageNet's, as "             \
            "torchvision's models want them"                                                                           \
    }
#define OPTION_ROW_STD(at)                                                                                             \
    {                                                                                                                  \
        "std", OPTION_TRIPLE, at, "0.229,0.224,0.225", 1e-6, 10, NULL, NULL, "standard deviation of each, likewise"    \
    }

/* Options of an encoder: arch, stem (cifar|imagenet), width multiplier, ... */
extern const struct option encoder_options[];

/* Length of the representations of the encoder that `block` describes; what it does not say has
 * its default. 0: an option is out of bounds. */
int encoder_dim_of(const cJSON *block);

enum training { TRAINING_SELF /* self-supervised */, TRAINING_THEFT };
/* Options of any training besides those of its loss and optimiser: epochs, batch,
 * lr, schedule (cosine with hold), init, shuffle, max_steps, checkpoint_seconds ...
 * (`temperature` lives with the loss; the seed is the request's). */
extern const struct option train_options[];
/* Options of one kind of training alone: augment, projector, projector_dim; head. */
extern const struct option self_options[], theft_options[];

/* All option tables that apply to a training described by `block`, which may name
 * loss, optimizer, arch and, if self-supervised, augment. A missing name stands for
 * its default, and an unknown name for the nearest one or else for its default: whoever binds
 * the block to the tables reports the unknown name. block NULL: only the tables that no name chooses.
 * At most `max` tables are written, their number returned; -1 if there are more. */
int train_option_tables(enum training way, const cJSON *block, const struct option **tables, int max, struct err *err);

/* Is it `augment` or an option of some augmentation? */
bool augment_takes(const char *option);

/* Contradictions among options that are each valid (invalid ones are missing from
 * `block`). images: number to train on; victim: the block of the encoder whose
 * answers are the targets; 0 and NULL: not known. */
void training_check(enum training way, const cJSON *block, int64_t images, const cJSON *victim,
                    const struct complaints *to);

/* ---- encoder ---- */

struct encoder; /* network, running statistics, input pipeline (size, mean, std), metadata */

/* torchvision-named safetensors written by dinf: strict. `device` borrowed. */
struct encoder *encoder_load(struct device *dev, const char *path, struct err *err);
/* Did dinf write this file (of whatever version)? encoder_load reads it then. */
int encoder_is_own(const char *path, bool *own, struct err *err);
/* How a foreign file calls the encoder's tensors. */
struct encoder_names {
    const char *strip; /* they begin with this, which is removed; "": nothing is */
    /* "A=B": A, one or more leading parts of what is left, becomes B; of several the first that fits. Without any,
     * the numbers of a torch.nn.Sequential of a ResNet's children are recognised. */
    const struct string_list *rename;
};
/* Foreign weights: arch, stem, names, input size, mean and std given. Of the encoder every tensor must be there in its
 * shape; `shortcut` is taken for torchvision's `downsample`. What lies outside of `strip`, and what within belongs to
 * no ResNet (heads, queues), is ignored and named in one line of the log; what could belong to a ResNet of another
 * form is an error. A message about missing tensors says which prefixes would do. */
struct encoder *encoder_import(struct device *dev, const char *path, const char *arch, const char *stem, double width,
                               const struct encoder_names *names, int size, const float mean[3], const float std[3],
                               struct err *err);
/* Freshly initialised from the seed (PyTorch's default initialisers of torchvision's
 * ResNet), for the random-init bound of the mutual-information score. */
struct encoder *encoder_random(struct device *dev, const cJSON *block, uint64_t seed, int size, const float mean[3],
                               const float std[3], struct err *err);
/* Safetensors with everything that encoder_load wants. `provenance` (may be NULL)
 * is copied into the metadata. */
int encoder_save(const struct encoder *e, const char *path, const cJSON *provenance, struct err *err);
void encoder_destroy(struct encoder *e);
int encoder_dim(const struct encoder *e);  /* representation, before heads */
int encoder_size(const struct encoder *e); /* input size */
/* Normalisation of the input on the 0..1 scale. */
void encoder_moments(const struct encoder *e, float mean[3], float std[3]);
int64_t encoder_parameters(const struct encoder *e); /* learnable, heads excluded */
const char *encoder_arch(const struct encoder *e);
const char *encoder_stem(const struct encoder *e);
double encoder_width(const struct encoder *e);

/* Representations of n uint8 images (n, 3, h, h), unaugmented, batch norm in inference
 * mode; out (n, dim) host memory. Images of another size are resized to the encoder's
 * input as data/resize.h says; not square: an error. STOPPED if a stop was requested. */
int encoder_embed(struct encoder *e, const struct images *im, int batch, float *out,
                  void (*progress)(void *, double fraction), void *arg, struct err *err);

/* Device memory that embedding `im` will take besides what the encoder has already, in
 * bytes; 0 where memory is the host's. */
int encoder_memory(const struct encoder *e, const struct images *im, int views, int batch, size_t *bytes,
                   struct err *err);

/* ---- training ---- */

struct train_progress {
    int64_t epoch, epochs;    /* completed, all */
    int64_t step, steps;      /* likewise, over all epochs */
    double loss;              /* mean of the epoch so far */
    double images_per_second; /* augmented views */
};

/* What is to be trained on what. */
struct train_request {
    const cJSON *block; /* options: encoder_options, train_options, loss, optimiser, augmentation */
    const struct images *data;
    /* Theft: target (data->n * views, dim) host, the victim's answers for view v of image
     * i at row i * views + v; NULL: self-supervised, two views. */
    const float *target;
    int target_dim, target_views;
    const cJSON *target_augment; /* how the victim's views were augmented: "augment", its options, "seed" */
    const int64_t *target_index; /* (data->n) the images' keys in encoder_answer; NULL: 0.. */
    uint64_t seed;
    const char *checkpoint;  /* state is saved here and taken up from here if it exists */
    const char *out;         /* finished encoder, safetensors */
    const cJSON *provenance; /* copied into the metadata */
    void (*progress)(void *arg, const struct train_progress *); /* after every step */
    void *arg;
};

/* Curves, one entry an epoch; freed by train_result_fini. */
struct train_result {
    int64_t epochs, steps;       /* done; with max_steps the last epoch may be a part */
    double *loss, *lr, *seconds; /* (epochs): mean loss, learning rate, duration */
    double images_per_second;    /* augmented views; of this process's share */
    int dim;
    int64_t parameters; /* of the encoder, heads excluded */
};

/* 0, STOPPED (checkpoint written) or -1. Interrupted and resumed as often as you
 * like, the encoder is equal bit for bit. */
int train_run(struct device *dev, const struct train_request *request, struct train_result *result, struct err *err);
void train_result_fini(struct train_result *r);

/* Device memory that train_run would take, in bytes; 0 where memory is the host's. Depends on
 * how much is free now, for images stay on the device if there is room for them. Draws no
 * weights and reads no images, so that it may be asked again and again. */
int train_memory(struct device *dev, const struct train_request *request, size_t *bytes, struct err *err);

/* Speed of whole training steps (augmentation, forward, loss, backward, optimiser)
 * on random images of `size`: `warmup` steps untimed, then `steps`. */
struct train_bench_result {
    double images_per_second, seconds_per_step; /* views: two per image */
    double loss;                                /* mean of the timed steps */
    int64_t parameters;
    bool recorded; /* the timed steps were replayed from a recording (a CUDA graph) */
};
int train_bench(struct device *dev, const cJSON *block, int size, int batch, int steps, int warmup,
                struct train_bench_result *result, struct err *err);

#endif
