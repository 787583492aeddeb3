/* Canonical JSON: what identities are hashes of, so it must depend on values alone. */
#include "conf/option.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/number.h"

struct text {
    char *data;
    size_t used, size;
    struct err *err;
    bool failed;
};

static void add(struct text *t, const char *s, size_t n)
{
    if (t->failed)
        return;
    if (t->used + n + 1 > t->size) {
        size_t size = 2 * (t->used + n + 1);
        char *grown = mem_grow(t->data, t->used, size, 1, t->err);
        if (grown == NULL) {
            t->failed = true;
            return;
        }
        t->data = grown;
        t->size = size;
    }
    memcpy(t->data + t->used, s, n);
    t->used += n;
    t->data[t->used] = 0;
}

static void add_string(struct text *t, const char *s)
{
    add(t, "\"", 1);
    for (; *s != 0; s++) {
        unsigned char c = (unsigned char)*s;
        char escape[8];
        if (c == '"' || c == '\\') {
            escape[0] = '\\';
            escape[1] = (char)c;
            add(t, escape, 2);
        } else if (c < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", c);
            add(t, escape, 6);
        } else {
            add(t, s, 1);
        }
    }
    add(t, "\"", 1);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static void add_value(struct text *t, const cJSON *v);

static void add_object(struct text *t, const cJSON *v)
{
    size_t n = (size_t)cJSON_GetArraySize(v), i = 0;
    const cJSON **members = mem_alloc(n, sizeof *members, t->err);
    if (members == NULL) {
        t->failed = true;
        return;
    }
    for (const cJSON *m = v->child; m != NULL; m = m->next)
        members[i++] = m;
    qsort(members, n, sizeof *members, by_name);
    add(t, "{", 1);
    for (i = 0; i < n; i++) {
        if (i > 0)
            add(t, ",", 1);
        add_string(t, members[i]->string);
        add(t, ":", 1);
        add_value(t, members[i]);
    }
    add(t, "}", 1);
    mem_free(members);
}

static void add_value(struct text *t, const cJSON *v)
{
    char number[NUMBER_TEXT];
    if (cJSON_IsObject(v)) {
        add_object(t, v);
    } else if (cJSON_IsArray(v)) {
        add(t, "[", 1);
        for (const cJSON *e = v->child; e != NULL; e = e->next) {
            if (e != v->child)
                add(t, ",", 1);
            add_value(t, e);
        }
        add(t, "]", 1);
    } else if (cJSON_IsString(v)) {
        add_string(t, v->valuestring);
    } else if (cJSON_IsNumber(v) && isfinite(v->valuedouble)) {
        number_print(v->valuedouble, number);
        add(t, number, strlen(number));
    } else if (cJSON_IsBool(v)) {
        add(t, cJSON_IsTrue(v) ? "true" : "false", cJSON_IsTrue(v) ? 4 : 5);
    } else {
        add(t, "null", 4);
    }
}

char *json_canonical(const cJSON *value, struct err *err)
{
    struct text t = { .err = err };
    add(&t, "", 0);
    add_value(&t, value);
    if (!t.failed)
        return t.data;
    mem_free(t.data);
    return NULL;
}
