/* Why tables are concatenated column by column: each task's file is tiny and its
 * columns may differ (a later version adds one, a kind lacks one), while readers
 * want one table with one meaning a column. */
#include "store/frame.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

/* One cell of a row: 8 bytes, so that rows assembled of them are row structs. */
union cell {
    int64_t i;
    double f;
    const char *s;
};

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

/* What labels mean: they come from the plan, which has no place to say it. */
static const struct {
    const char *name, *unit, *help;
} label_texts[] = {
    { "encoder", "", "encoder under suspicion" },
    { "name", "", "name of the encoder" },
    { "victim", "", "encoder whose owner asks" },
    { "role", "", "victim, thief, independent, suspect or random (weights as they are initialised)" },
    { "arch", "", "architecture" },
    { "dataset", "", "data set that the encoder was trained on" },
    { "loss", "", "training loss" },
    { "queries", "", "data set that the victim was queried with" },
    { "budget", "images", "number of unique images that the victim was queried with" },
    { "overlap", "", "share of the queried images that are in the victim's training set; -1 if not a theft" },
    { "set_overlap", "",
      "share of the whole query set's images that are in the victim's training set; -1 if not a theft" },
    { "seed", "", "seed of the training" },
    { "trial", "", "repetition of the campaign" },
    { "set", "", "data set that was embedded" },
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

static struct frame_column *label_column(struct frame *frame, const char *name, enum column_type type, struct err *err)
{
    struct frame_column *c = find_column(frame, name);
    if (c != NULL)
        return c;
    const char *unit = "", *help = "";
    for (size_t i = 0; i < sizeof label_texts / sizeof label_texts[0]; i++)
        if (strcmp(label_texts[i].name, name) == 0) {
            unit = label_texts[i].unit;
            help = label_texts[i].help;
        }
    return add_column(frame, name, type, mem_strdup(unit, err), mem_strdup(help, err), err);
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
        if (has_member(columns, l->string))
            continue;
        enum column_type type;
        union cell value;
        if (cJSON_IsString(l)) {
            type = COLUMN_STRING;
            value.s = arena_add(f, l->valuestring, err);
            if (value.s == NULL)
                return -1;
        } else if (cJSON_IsNumber(l) || cJSON_IsBool(l)) {
            double v = cJSON_IsBool(l) ? cJSON_IsTrue(l) : l->valuedouble;
            type = v == rint(v) && fabs(v) <= 0x1p53 ? COLUMN_INT : COLUMN_FLOAT;
            if (type == COLUMN_INT)
                value.i = (int64_t)v;
            else
                value.f = v;
        } else {
            return err_set(err, "label %s is neither text nor a number", l->string);
        }
        struct frame_column *c = label_column(frame, l->string, type, err);
        if (c == NULL)
            return -1;
        for (size_t i = 0; i < n; i++)
            if (put_cell(frame, c, frame->n_rows + i, type, value, err) != 0)
                return -1;
    }
    return 0;
}

/* How the members of a compound lie in rows of cells; ended by name = NULL. */
static struct column *describe_members(struct frames *f, hid_t type, size_t *n, struct err *err)
{
    *n = (size_t)H5Tget_nmembers(type);
    struct column *columns = mem_alloc(*n + 1, sizeof *columns, err);
    for (size_t i = 0; columns != NULL && i < *n; i++) {
        char *name = H5Tget_member_name(type, (unsigned)i);
        H5T_class_t class = H5Tget_member_class(type, (unsigned)i);
        columns[i] = (struct column){ arena_add(f, name, err),
                                      class == H5T_INTEGER ? COLUMN_INT
                                      : class == H5T_FLOAT ? COLUMN_FLOAT
                                                           : COLUMN_STRING,
                                      8 * i, NULL, NULL };
        bool readable = class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_STRING;
        if (!readable)
            err_set(err, "column %s is neither number nor text", name);
        H5free_memory(name);
        if (!readable || columns[i].name == NULL) {
            mem_free(columns);
            return NULL;
        }
    }
    return columns;
}

static int add_cells(struct frames *f, struct frame *frame, hid_t dataset, const struct column *columns,
                     size_t n_columns, const union cell *rows, size_t n, struct err *err)
{
    for (size_t k = 0; k < n_columns; k++) {
        struct frame_column *c = find_column(frame, columns[k].name);
        if (c == NULL)
            c = add_column(frame, columns[k].name, columns[k].type, h5_get_string(dataset, "units", k, err),
                           h5_get_string(dataset, "column_descriptions", k, err), err);
        if (c == NULL)
            return -1;
        for (size_t i = 0; i < n; i++) {
            union cell value = rows[i * n_columns + k];
            if (columns[k].type == COLUMN_STRING) {
                value.s = arena_add(f, value.s == NULL ? "" : value.s, err);
                if (value.s == NULL)
                    return -1;
            }
            if (put_cell(frame, c, frame->n_rows + i, columns[k].type, value, err) != 0)
                return -1;
        }
    }
    return 0;
}

int frames_add(struct frames *f, const char *path, hid_t dataset, const cJSON *labels, struct err *err)
{
    int rc = -1;
    size_t n_columns;
    union cell *rows = NULL;
    struct frame *frame = frame_at(f, path, dataset, err);
    if (frame == NULL)
        return -1;
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset), memory = -1, transfer = -1;
    hssize_t n = H5Sget_simple_extent_npoints(space);
    struct column *columns = describe_members(f, type, &n_columns, err);
    if (columns == NULL)
        goto out;
    rows = mem_alloc((size_t)n, 8 * n_columns, err);
    if (rows == NULL)
        goto out;
    memory = h5_row_type(columns, 8 * n_columns, false);
    transfer = h5_transfer((size_t)n * 8 * n_columns);
    if (n > 0 && H5Dread(dataset, memory, H5S_ALL, H5S_ALL, transfer, rows) < 0) {
        h5_fail(err, "cannot read %s", path);
        goto out;
    }
    rc = add_labels(f, frame, columns, (size_t)n, labels, err);
    if (rc == 0)
        rc = add_cells(f, frame, dataset, columns, n_columns, rows, (size_t)n, err);
    if (rc == 0)
        frame->n_rows += (size_t)n;
    if (n > 0)
        H5Dvlen_reclaim(memory, space, H5P_DEFAULT, rows);
out:
    if (transfer >= 0)
        H5Pclose(transfer);
    if (memory >= 0)
        H5Tclose(memory);
    mem_free(rows);
    mem_free(columns);
    H5Sclose(space);
    H5Tclose(type);
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
