/* Why tables are concatenated column by column: each task's file is tiny and its
 * columns may differ (a later version adds one, a kind lacks one), while readers
 * want one table with one meaning a column. */
#include "store/frame.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

struct frame_column {
    char *name, *unit, *help;
    enum column_type type;
    union cell *cells;
    bool *present;
    size_t n, capacity; /* rows beyond n lack the cell */
};

struct frame {
    char *path, *description;
    struct frame_column *columns;
    size_t n_columns, n_rows;
};

/* Strings of the files live as long as the frames. */
struct arena {
    struct arena *next;
    size_t used, size;
    char text[];
};

struct frames {
    struct frame *v;
    size_t n;
    struct arena *strings;
};

/* What labels are and mean: they come from the plan, which has no place to say it. The type
 * is not that of the values, of which all may be missing (-1). */
static const struct label {
    const char *name;
    enum column_type type;
    const char *unit, *help;
} known_labels[] = {
    { "encoder", COLUMN_STRING, "", "encoder under suspicion" },
    { "name", COLUMN_STRING, "", "name of the encoder" },
    { "victim", COLUMN_STRING, "", "encoder whose owner asks" },
    { "role", COLUMN_STRING, "", "victim, thief, independent, suspect or random (weights as they are initialised)" },
    { "arch", COLUMN_STRING, "", "architecture" },
    { "dataset", COLUMN_STRING, "", "data set that the encoder was trained on" },
    { "loss", COLUMN_STRING, "", "training loss" },
    { "queries", COLUMN_STRING, "", "data set that the victim was queried with" },
    { "budget", COLUMN_INT, "images", "number of unique images that the victim was queried with" },
    { "overlap", COLUMN_FLOAT, "",
      "share of the queried images that are in the victim's training set; -1 if not a theft" },
    { "set_overlap", COLUMN_FLOAT, "",
      "share of the whole query set's images that are in the victim's training set; -1 if not a theft" },
    { "seed", COLUMN_INT, "", "seed of the training" },
    { "trial", COLUMN_INT, "", "repetition of the campaign" },
    { "set", COLUMN_STRING, "", "data set that was embedded" },
};

static const char *arena_add(struct frames *f, const char *s, struct err *err)
{
    enum { BLOCK = 1 << 16 };
    size_t n = strlen(s) + 1;
    struct arena *a = f->strings;
    if (a == NULL || a->size - a->used < n) {
        size_t size = n > BLOCK ? n : BLOCK;
        a = mem_alloc(sizeof *a + size, 1, err);
        if (a == NULL)
            return NULL;
        a->size = size;
        a->next = f->strings;
        f->strings = a;
    }
    char *at = a->text + a->used;
    memcpy(at, s, n);
    a->used += n;
    return at;
}

struct frames *frames_create(struct err *err)
{
    return mem_alloc(1, sizeof(struct frames), err);
}

void frames_destroy(struct frames *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n; i++) {
        struct frame *frame = &f->v[i];
        for (size_t k = 0; k < frame->n_columns; k++) {
            struct frame_column *c = &frame->columns[k];
            mem_free(c->name);
            mem_free(c->unit);
            mem_free(c->help);
            mem_free(c->cells);
            mem_free(c->present);
        }
        mem_free(frame->columns);
        mem_free(frame->path);
        mem_free(frame->description);
    }
    mem_free(f->v);
    while (f->strings != NULL) {
        struct arena *next = f->strings->next;
        mem_free(f->strings);
        f->strings = next;
    }
    mem_free(f);
}

/* ---- building ---- */

static struct frame *frame_at(struct frames *f, const char *path, hid_t dataset, struct err *err)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->v[i].path, path) == 0)
            return &f->v[i];
    struct frame *grown = mem_grow(f->v, f->n, f->n + 1, sizeof *grown, err);
    if (grown == NULL)
        return NULL;
    f->v = grown;
    struct frame *frame = &f->v[f->n];
    frame->path = mem_strdup(path, err);
    if (frame->path == NULL)
        return NULL;
    frame->description = h5_get_string(dataset, "description", 0, err);
    f->n++;
    return frame;
}

static struct frame_column *find_column(struct frame *frame, const char *name)
{
    for (size_t k = 0; k < frame->n_columns; k++)
        if (strcmp(frame->columns[k].name, name) == 0)
            return &frame->columns[k];
    return NULL;
}

/* unit, help: taken over. */
static struct frame_column *add_column(struct frame *frame, const char *name, enum column_type type, char *unit,
                                       char *help, struct err *err)
{
    struct frame_column *grown = mem_grow(frame->columns, frame->n_columns, frame->n_columns + 1, sizeof *grown, err);
    char *copy = mem_strdup(name, err);
    if (grown != NULL)
        frame->columns = grown;
    if (grown == NULL || copy == NULL) {
        mem_free(copy);
        mem_free(unit);
        mem_free(help);
        return NULL;
    }
    struct frame_column *c = &frame->columns[frame->n_columns++];
    *c = (struct frame_column){ .name = copy, .type = type, .unit = unit, .help = help };
    return c;
}

/* Brings column and value to a common type. */
static int unify(const struct frame *frame, struct frame_column *c, enum column_type type, union cell *value,
                 struct err *err)
{
    if (type == c->type)
        return 0;
    if (type == COLUMN_STRING || c->type == COLUMN_STRING)
        return err_set(err, "column %s of %s holds text here and numbers in another task's file", c->name, frame->path);
    if (type == COLUMN_INT) {
        value->f = (double)value->i;
        return 0;
    }
    for (size_t i = 0; i < c->n; i++)
        c->cells[i].f = (double)c->cells[i].i;
    c->type = COLUMN_FLOAT;
    return 0;
}

static int put_cell(const struct frame *frame, struct frame_column *c, size_t row, enum column_type type,
                    union cell value, struct err *err)
{
    if (unify(frame, c, type, &value, err) != 0)
        return -1;
    if (row >= c->capacity) {
        size_t capacity = c->capacity * 2 > row + 16 ? c->capacity * 2 : row + 16;
        union cell *cells = mem_grow(c->cells, c->n, capacity, sizeof *cells, err);
        if (cells == NULL)
            return -1;
        c->cells = cells;
        bool *present = mem_grow(c->present, c->n, capacity, sizeof *present, err);
        if (present == NULL)
            return -1;
        c->present = present;
        c->capacity = capacity;
    }
    c->cells[row] = value;
    c->present[row] = true;
    c->n = row + 1;
    return 0;
}

/* NULL: a label that is not known has the type of its values. */
static const struct label *find_label(const char *name)
{
    for (size_t i = 0; i < sizeof known_labels / sizeof known_labels[0]; i++)
        if (strcmp(known_labels[i].name, name) == 0)
            return &known_labels[i];
    return NULL;
}

/* A label's value and type, if it is of the type that its name promises. */
static int read_label(struct frames *f, const cJSON *l, union cell *value, enum column_type *type, struct err *err)
{
    const struct label *known = find_label(l->string);
    if (cJSON_IsString(l)) {
        *type = COLUMN_STRING;
        value->s = arena_add(f, l->valuestring, err);
        if (value->s == NULL)
            return -1;
    } else if (cJSON_IsNumber(l) || cJSON_IsBool(l)) {
        double v = cJSON_IsBool(l) ? cJSON_IsTrue(l) : l->valuedouble;
        bool whole = v == rint(v) && fabs(v) <= 0x1p53;
        *type = whole && (known == NULL || known->type != COLUMN_FLOAT) ? COLUMN_INT : COLUMN_FLOAT;
        if (*type == COLUMN_INT)
            value->i = (int64_t)v;
        else
            value->f = v;
    } else {
        return err_set(err, "label %s is neither text nor a number", l->string);
    }
    static const char *const names[] = { "a whole number", "a number", "text" };
    if (known != NULL && *type != known->type)
        return err_set(err, "label %s is not %s", l->string, names[known->type]);
    return 0;
}

static struct frame_column *label_column(struct frame *frame, const char *name, enum column_type type, struct err *err)
{
    struct frame_column *c = find_column(frame, name);
    const struct label *known = find_label(name);
    if (c != NULL)
        return c;
    return add_column(frame, name, type, mem_strdup(known == NULL ? "" : known->unit, err),
                      mem_strdup(known == NULL ? "" : known->help, err), err);
}

static bool has_member(const struct column *columns, const char *name)
{
    while (columns->name != NULL && strcmp(columns->name, name) != 0)
        columns++;
    return columns->name != NULL;
}

/* columns: those of the dataset, which win. */
static int add_labels(struct frames *f, struct frame *frame, const struct column *columns, size_t n,
                      const cJSON *labels, struct err *err)
{
    const cJSON *l;
    cJSON_ArrayForEach(l, labels)
    {
        enum column_type type = COLUMN_STRING;
        union cell value;
        if (has_member(columns, l->string))
            continue;
        if (read_label(f, l, &value, &type, err) != 0)
            return -1;
        struct frame_column *c = label_column(frame, l->string, type, err);
        if (c == NULL)
            return -1;
        for (size_t i = 0; i < n; i++)
            if (put_cell(frame, c, frame->n_rows + i, type, value, err) != 0)
                return -1;
    }
    return 0;
}

static int add_cells(struct frames *f, struct frame *frame, hid_t dataset, const struct h5_table *t, struct err *err)
{
    for (size_t k = 0; k < t->n_columns; k++) {
        const struct column *column = &t->columns[k];
        struct frame_column *c = find_column(frame, column->name);
        if (c == NULL)
            c = add_column(frame, column->name, column->type, h5_get_string(dataset, "units", k, err),
                           h5_get_string(dataset, "column_descriptions", k, err), err);
        if (c == NULL)
            return -1;
        for (size_t i = 0; i < t->n_rows; i++) {
            union cell value = t->cells[i * t->n_columns + k];
            if (column->type == COLUMN_STRING) {
                value.s = arena_add(f, value.s, err);
                if (value.s == NULL)
                    return -1;
            }
            if (put_cell(frame, c, frame->n_rows + i, column->type, value, err) != 0)
                return -1;
        }
    }
    return 0;
}

int frames_add(struct frames *f, const char *path, hid_t dataset, const cJSON *labels, struct err *err)
{
    struct h5_table table;
    struct frame *frame = frame_at(f, path, dataset, err);
    if (frame == NULL || h5_read_table(dataset, path, &table, err) != 0)
        return -1;
    int rc = add_labels(f, frame, table.columns, table.n_rows, labels, err);
    if (rc == 0)
        rc = add_cells(f, frame, dataset, &table, err);
    if (rc == 0)
        frame->n_rows += table.n_rows;
    h5_table_fini(&table);
    return rc;
}

/* ---- writing ---- */

static union cell cell_or_missing(const struct frame_column *c, size_t row)
{
    if (row < c->n && c->present[row])
        return c->cells[row];
    union cell missing;
    if (c->type == COLUMN_INT)
        missing.i = -1;
    else if (c->type == COLUMN_FLOAT)
        missing.f = NAN;
    else
        missing.s = "";
    return missing;
}

static int frame_write(const struct frame *frame, hid_t file, struct err *err)
{
    int rc = -1;
    struct column *columns = mem_alloc(frame->n_columns + 1, sizeof *columns, err);
    union cell *rows = mem_alloc(frame->n_rows, frame->n_columns * sizeof *rows, err);
    if (columns == NULL || rows == NULL)
        goto out;
    for (size_t k = 0; k < frame->n_columns; k++) {
        const struct frame_column *c = &frame->columns[k];
        columns[k] = (struct column){ c->name, c->type, k * sizeof *rows, c->unit, c->help };
        for (size_t i = 0; i < frame->n_rows; i++)
            rows[i * frame->n_columns + k] = cell_or_missing(c, i);
    }
    rc = h5_write_table(file, frame->path, frame->description == NULL ? "" : frame->description, columns, rows,
                        frame->n_columns * sizeof *rows, frame->n_rows, err);
out:
    mem_free(rows);
    mem_free(columns);
    return rc;
}

int frames_write(const struct frames *f, hid_t file, struct err *err)
{
    for (size_t i = 0; i < f->n; i++)
        if (frame_write(&f->v[i], file, err) != 0)
            return -1;
    return 0;
}
