/* Representations that a suspect's owner hands in, or an API has answered: they take the
 * place of an embedding where nobody has the weights. */
#include <string.h>

#include "base/mem.h"
#include "conf/json.h"
#include "store/matrix_file.h"
#include "tasks/common.h"

struct representations_options {
    char file[OPTION_TEXT];
};

static const struct option representations_options[] = {
    { "file", OPTION_STRING, offsetof(struct representations_options, file), NULL, 0, 0, NULL, NULL,
      ".npy of numbers (n, d): row i is the set's image i" },
    OPTION_END,
};

static double representations_cost(const struct task_sizing *s, struct task_extent *out)
{
    struct npy file;
    struct err ignored;
    int size;
    task_shape(s->params, &out->rows, &size);
    if (npy_describe(json_text(s->params, "file", ""), &file, &ignored) == 0 && file.rank == 2)
        out->dim = (int)file.dims[1];
    return task_start_seconds + 2 * task_array_seconds(out->rows, out->dim);
}

static void representations_check(const struct task_facts *facts, const struct complaints *to)
{
    struct npy file;
    struct err why;
    const char *path = json_text(facts->params, "file", "");
    if (path[0] == '\0')
        return;
    if (npy_describe(path, &file, &why) != 0 || matrix_shape(&file, path, &why) != 0)
        complain(to, "file", NULL, "%s", why.text);
    else if (facts->images > 0 && file.dims[0] != facts->images)
        complain(to, "file", NULL, "%s has %lld rows where the set has %lld images", path, (long long)file.dims[0],
                 (long long)facts->images);
}

/* In the file's own precision. */
static int write_matrix(struct result *r, const struct npy *file, const double *x, const int64_t dims[2],
                        struct err *err)
{
    static const char path[] = "/representations", help[] = "representations as handed in, not normalised";
    size_t n = (size_t)dims[0] * (size_t)dims[1];
    if (!npy_is_single(file))
        return result_double(r, path, help, NULL, x, 2, dims, err);
    float *narrow = mem_alloc(n, sizeof *narrow, err);
    if (narrow == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        narrow[i] = (float)x[i];
    int rc = result_float(r, path, help, NULL, narrow, 2, dims, err);
    mem_free(narrow);
    return rc;
}

static int representations_run(struct task_context *ctx, struct err *err)
{
    int rc = -1, size;
    char path[PATH_MAX];
    int64_t dims[2], images;
    struct npy file;
    struct representations_options o;
    struct result *r = NULL;
    double *x = NULL;
    if (options_from_json(representations_options, ctx->params, &o, err) != 0 ||
        task_output_path(ctx, ".h5", path, err) != 0 || npy_describe(o.file, &file, err) != 0 ||
        matrix_read(o.file, &dims[0], &dims[1], &x, err) != 0)
        goto out;
    task_shape(ctx->params, &images, &size);
    if (dims[0] != images) {
        err_set(err, "%s has %lld rows where the set has %lld images", o.file, (long long)dims[0], (long long)images);
        goto out;
    }
    r = result_create(path, ctx->provenance, err);
    if (r == NULL || write_matrix(r, &file, x, dims, err) != 0)
        goto out;
    rc = result_commit(r, err);
    r = NULL;
out:
    result_abandon(r);
    mem_free(x);
    return rc;
}

const struct task_kind task_kind_representations = { .name = "representations",
                                                     .help = "take in representations of a set as a file",
                                                     .options = representations_options,
                                                     .options_size = sizeof(struct representations_options),
                                                     .check = representations_check,
                                                     .cost = representations_cost,
                                                     .run = representations_run };
