/* Provenance of a task's files: enough to run it again. */
#include "tasks/provenance.h"

#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/version.h"
#include "conf/conf.h"
#include "store/result.h"

static int add_string(cJSON *o, const char *name, const char *value)
{
    return cJSON_AddStringToObject(o, name, value) != NULL ? 0 : -1;
}

static int add_number(cJSON *o, const char *name, double value)
{
    return cJSON_AddNumberToObject(o, name, value) != NULL ? 0 : -1;
}

static int add_inputs(cJSON *o, const struct task_context *ctx, struct err *err)
{
    cJSON *inputs = cJSON_CreateObject();
    int rc = inputs == NULL ? -1 : 0;
    for (int i = 0; rc == 0 && i < ctx->n_inputs; i++)
        rc = add_string(inputs, ctx->inputs[i].role, ctx->inputs[i].id);
    char *text = rc == 0 ? json_canonical(inputs, err) : NULL;
    if (text == NULL || add_string(o, "inputs", text) != 0)
        rc = -1;
    mem_free(text);
    cJSON_Delete(inputs);
    return rc;
}

int provenance_libraries(cJSON *object)
{
    enum { OF_DEVICES = 16 };
    struct library all[2 + OF_DEVICES];
    conf_library(&all[0]);
    result_library(&all[1]);
    int n = 2 + device_libraries(all + 2, OF_DEVICES);
    for (int i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "library_%s", all[i].name);
        if (add_string(object, name, all[i].version) != 0)
            return -1;
    }
    return 0;
}

cJSON *provenance_create(const struct task_context *ctx, const struct task_kind *kind, const struct device *dev,
                         int threads, struct err *err)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    char *params = ctx->params != NULL ? json_canonical(ctx->params, err) : mem_strdup("{}", err);
    cJSON *o = cJSON_CreateObject();
    if (params == NULL || o == NULL || add_string(o, "dinf_version", dinf_version()) != 0 ||
        add_string(o, "revision", dinf_revision()) != 0 || add_string(o, "host", host) != 0 ||
        add_string(o, "device", dev != NULL ? dev->description : "none") != 0 ||
        add_number(o, "threads", threads) != 0 || add_string(o, "task", ctx->id) != 0 ||
        add_string(o, "kind", kind->name) != 0 || add_string(o, "name", ctx->name) != 0 ||
        add_string(o, "params", params) != 0 || add_inputs(o, ctx, err) != 0 || provenance_libraries(o) != 0) {
        err_set(err, "out of memory");
        cJSON_Delete(o);
        o = NULL;
    }
    mem_free(params);
    return o;
}
