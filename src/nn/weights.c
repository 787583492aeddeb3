/* Between networks and safetensors files. Strict both ways: a tensor that is
 * missing, too many or of another shape is an error with its name, because an
 * encoder that is silently half random makes every verdict about it worthless. */
#include "nn/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { NAME_MAX_BYTES = 2 * PARAMETER_NAME };

int tensor_list_add(struct tensor_list *list, const char *name, enum tensor_type type, int rank, const int64_t *dims,
                    const void *data, struct err *err)
{
    if (list->n == list->max) {
        int more = list->max == 0 ? 64 : 2 * list->max;
        struct tensor_view *grown = mem_grow(list->views, (size_t)list->max, (size_t)more, sizeof *grown, err);
        if (grown == NULL)
            return -1;
        list->views = grown;
        list->max = more;
    }
    struct tensor_view v = { .type = type, .rank = rank, .bytes = tensor_type_size(type) };
    for (int i = 0; i < rank; i++) {
        v.dims[i] = dims[i];
        v.bytes *= (size_t)dims[i];
    }
    char *copy = mem_alloc(v.bytes, 1, err);
    v.name = mem_strdup(name, err);
    v.data = copy;
    list->views[list->n++] = v;
    if (copy == NULL || v.name == NULL)
        return -1;
    if (v.bytes > 0)
        memcpy(copy, data, v.bytes);
    return 0;
}

void tensor_list_fini(struct tensor_list *list)
{
    for (int i = 0; i < list->n; i++) {
        mem_free((void *)list->views[i].name);
        mem_free((void *)list->views[i].data);
    }
    mem_free(list->views);
    *list = (struct tensor_list){ 0 };
}

static bool is_variance(const struct parameter *p)
{
    static const char last[] = "running_var";
    size_t length = strlen(p->name), tail = sizeof last - 1;
    return length >= tail && strcmp(p->name + length - tail, last) == 0;
}

/* ReLU may turn NaN into 0, so that nobody would see later that an encoder is
 * broken. An optimiser's state may overflow without harm. */
static int check_values(const struct network *net, const struct parameter *p, const float *flat, const float *x,
                        const char *name, struct err *err)
{
    if (flat != net->weights && flat != net->running)
        return 0;
    for (int64_t i = 0; i < parameter_elements(p); i++)
        if (!isfinite(x[i]))
            return err_set(err, "the tensor %s holds values that are not finite", name);
        else if (flat == net->running && x[i] < 0 && is_variance(p))
            return err_set(err, "the tensor %s holds a negative variance (%g)", name, x[i]);
    return 0;
}

static int add_parameter(struct tensor_list *list, const struct network *net, const struct parameter *p,
                         const float *flat, const char *name, struct err *err)
{
    float *host = mem_alloc((size_t)parameter_elements(p), sizeof *host, err);
    int rc = host == NULL || parameter_get(net, p, flat, host, err) != 0 ||
                     check_values(net, p, flat, host, name, err) != 0 ||
                     tensor_list_add(list, name, TENSOR_F32, p->rank, p->dims, host, err) != 0
                 ? -1
                 : 0;
    mem_free(host);
    return rc;
}

/* "bn1.running_var" to "bn1.num_batches_tracked"; false for other parameters. */
static bool counter_name(const struct parameter *p, char out[NAME_MAX_BYTES])
{
    size_t length = strlen(p->name), tail = strlen("running_var");
    if (!is_variance(p))
        return false;
    snprintf(out, NAME_MAX_BYTES, "%.*snum_batches_tracked", (int)(length - tail), p->name);
    return true;
}

int tensor_list_add_network(struct tensor_list *list, const struct network *net, struct err *err)
{
    char counter[NAME_MAX_BYTES];
    for (int i = 0; i < net->n_parameters; i++) {
        const struct parameter *p = &net->parameters[i];
        if (add_parameter(list, net, p, p->running ? net->running : net->weights, p->name, err) != 0)
            return -1;
        if (counter_name(p, counter) && tensor_list_add(list, counter, TENSOR_I64, 0, NULL, &net->batches, err) != 0)
            return -1;
    }
    return 0;
}

int tensor_list_add_flat(struct tensor_list *list, const struct network *net, const float *flat, const char *prefix,
                         struct err *err)
{
    for (int i = 0; i < net->n_parameters; i++) {
        const struct parameter *p = &net->parameters[i];
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof name, "%s.%s", prefix, p->name);
        if (!p->running && add_parameter(list, net, p, flat, name, err) != 0)
            return -1;
    }
    return 0;
}

int weights_open(struct weights_reader *r, const char *path, struct err *err)
{
    *r = (struct weights_reader){ .path = path };
    if (safetensors_open(path, &r->file, err) != 0)
        return -1;
    r->used = mem_alloc((size_t)r->file.n, sizeof *r->used, err);
    if (r->used == NULL) {
        weights_close(r);
        return -1;
    }
    return 0;
}

void weights_close(struct weights_reader *r)
{
    safetensors_close(&r->file);
    mem_free(r->used);
    *r = (struct weights_reader){ 0 };
}

static const char *shape_text(int rank, const int64_t *dims, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "(");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i == 0 ? "" : ", ", (long long)dims[i]);
    if (used < size)
        snprintf(out + used, size - used, ")");
    return out;
}

const struct tensor_view *weights_find(const struct weights_reader *r, const char *name)
{
    if (r->called == NULL)
        return safetensors_find(&r->file, name);
    int low = 0, high = r->n_called;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int c = strcmp(r->called[r->by_called[middle]], name);
        if (c == 0)
            return &r->file.tensors[r->by_called[middle]];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct tensor_view *weights_take(struct weights_reader *r, const char *name, int rank, const int64_t *dims,
                                       struct err *err)
{
    const struct tensor_view *t = weights_find(r, name);
    if (t == NULL) {
        err_set(err, "%s: the tensor %s%s is missing", r->path, r->prefix != NULL ? r->prefix : "", name);
        return NULL;
    }
    if (t->rank != rank || (rank > 0 && memcmp(t->dims, dims, (size_t)rank * sizeof *dims) != 0)) {
        char have[128], want[128];
        err_set(err, "%s: the tensor %s has shape %s where %s is wanted", r->path, t->name,
                shape_text(t->rank, t->dims, have, sizeof have), shape_text(rank, dims, want, sizeof want));
        return NULL;
    }
    r->used[t - r->file.tensors] = true;
    return t;
}

static int read_parameter(struct weights_reader *r, const struct network *net, const struct parameter *p, float *flat,
                          const char *name, struct err *err)
{
    const struct tensor_view *t = weights_take(r, name, p->rank, p->dims, err);
    if (t == NULL)
        return -1;
    float *host = mem_alloc((size_t)parameter_elements(p), sizeof *host, err);
    int rc = host == NULL || tensor_to_float(t, host, err) != 0 || check_values(net, p, flat, host, t->name, err) != 0
                 ? -1
                 : 0;
    if (rc != 0)
        err_prefix(err, "%s", r->path);
    if (rc == 0)
        rc = parameter_set(net, p, flat, host, err);
    mem_free(host);
    return rc;
}

static int read_counter(struct weights_reader *r, struct network *net, const char *name, bool optional, struct err *err)
{
    const struct tensor_view *t = weights_find(r, name);
    if (optional && t != NULL && (t->rank != 0 || t->type != TENSOR_I64)) {
        r->used[t - r->file.tensors] = true;
        return 0;
    }
    if (optional && t == NULL)
        return 0;
    t = weights_take(r, name, 0, NULL, err);
    if (t == NULL)
        return -1;
    if (t->type != TENSOR_I64)
        return err_set(err, "%s: the tensor %s must be I64, not %s", r->path, name, tensor_type_name(t->type));
    memcpy(&net->batches, t->data, sizeof net->batches);
    return 0;
}

int weights_check_network(struct weights_reader *r, const struct network *net, int *present, struct err *err)
{
    int rc = 0, n = 0;
    struct err own;
    for (int i = 0; i < net->n_parameters; i++) {
        const struct parameter *p = &net->parameters[i];
        n += weights_find(r, p->name) != NULL;
        if (weights_take(r, p->name, p->rank, p->dims, rc == 0 ? err : &own) == NULL)
            rc = -1;
    }
    if (present != NULL)
        *present = n;
    return rc;
}

int weights_read_network(struct weights_reader *r, struct network *net, bool optional_counters, struct err *err)
{
    for (int i = 0; i < net->n_parameters; i++) {
        const struct parameter *p = &net->parameters[i];
        char counter[NAME_MAX_BYTES];
        if (read_parameter(r, net, p, p->running ? net->running : net->weights, p->name, err) != 0 ||
            (counter_name(p, counter) && read_counter(r, net, counter, optional_counters, err) != 0))
            return -1;
    }
    return 0;
}

int weights_read_flat(struct weights_reader *r, const struct network *net, float *flat, const char *prefix,
                      struct err *err)
{
    for (int i = 0; i < net->n_parameters; i++) {
        const struct parameter *p = &net->parameters[i];
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof name, "%s.%s", prefix, p->name);
        if (!p->running && read_parameter(r, net, p, flat, name, err) != 0)
            return -1;
    }
    return 0;
}

int weights_all_used(const struct weights_reader *r, struct err *err)
{
    for (int i = 0; i < r->file.n; i++)
        if (!r->used[i])
            return err_set(err, "%s: the tensor %s belongs to nothing in this network", r->path,
                           r->file.tensors[i].name);
    return 0;
}
