/* What several kinds of task share. */
#ifndef DINF_TASKS_COMMON_H
#define DINF_TASKS_COMMON_H

#include "data/dataset.h"
#include "nn/nn.h"
#include "store/result.h"
#include "tasks/task.h"

/* Path of an input's file with `suffix`; a role that the task lacks is an error. */
int task_input_path(const struct task_context *ctx, const char *role, const char *suffix, char out[PATH_MAX],
                    struct err *err);

/* DIR/tasks/ID + suffix of this task. */
int task_output_path(const struct task_context *ctx, const char *suffix, char out[PATH_MAX], struct err *err);

/* The images of params.dataset. */
int task_images(const struct task_context *ctx, struct images *out, struct err *err);

/* The n images whose numbers are `chosen`, in that order; out by images_fini. */
int task_take_images(const struct images *im, const int64_t *chosen, int64_t n, struct images *out, struct err *err);

/* The integer params.NAME, which the plan always writes. */
int task_integer(const cJSON *params, const char *name, int64_t *out, struct err *err);

/* An error if an evaluation's seed is still to be derived, which the plan does. */
int task_seed(int64_t seed, struct err *err);

/* The representations (n, d) of the embed task behind `role`, as double; mem_free. */
int task_representations(const struct task_context *ctx, const char *role, int64_t *n, int64_t *d, double **out,
                         struct err *err);

/* Tables of train and steal: nn's for this way of training, and the seed. */
int task_training_tables(enum training way, const cJSON *block, const struct option **tables, int max, struct err *err);

/* Trains, then writes the encoder, its row in /encoders and its /curves.
 * `request`: data, block, target* and seed are the caller's; the rest is filled. */
int task_train(struct task_context *ctx, struct train_request *request, struct err *err);

/* Writes the result of a kind that makes an encoder: its row in /encoders and,
 * if there are epochs, its /curves. */
int task_encoder_result(const struct task_context *ctx, const struct train_result *trained, int64_t images,
                        struct err *err);

/* Waits until that much device memory is free, so that what is computed next does not
 * take what another task was promised; the task has it all at its first report. */
int task_reserve(struct task_context *ctx, size_t bytes, struct err *err);

/* The same for a task that takes memory and gives it back several times: other tasks may take
 * the memory between two of its turns. */
int task_await(struct task_context *ctx, size_t bytes, struct err *err);

/* Reports a fraction; usable as the callback of encoder_embed (arg: the context). */
void task_report_fraction(void *ctx, double fraction);

/* Estimated seconds: one image forward through the encoder that `block`
 * describes, at this input size. */
double task_forward_seconds(const cJSON *block, int size);

/* Fills the extent of a task that makes the encoder that `block` describes. */
void task_encoder_extent(const cJSON *block, int size, struct task_extent *out);

/* Estimated seconds of the training that `params` describes, on so many images of
 * this size, with this many views of an image in a step. */
double task_training_seconds(const cJSON *params, int64_t images, int size, int views);

/* Estimated seconds: reading or writing an array; starting a process and a device. */
double task_array_seconds(int64_t rows, int64_t columns);
extern const double task_start_seconds;

/* Number and size of the images of params.dataset, 0 and 0 if it cannot be read. */
void task_shape(const cJSON *params, int64_t *n, int *size);

#endif
